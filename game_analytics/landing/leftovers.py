"""What commits leave behind: objects of replaced landings, and of runs that died.

A replaced manifest is kept with its objects for a week, so that both can be restored; forever where events were lost by
replacing it.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake, Listed
from game_analytics.lake.committed import CommittedLanding, read_landing
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import (
    day_prefix,
    kept_manifest_key,
    kept_prefix,
    old_manifest_key,
    replaced_manifest_key,
    replaced_prefix,
    schemas_prefix,
)

LEFTOVERS_STAY = timedelta(hours=24)
"""How long an object that no manifest lists is kept: a running landing may be about to commit it."""

REPLACED_STAYS = timedelta(days=7)
"""How long a replaced manifest and its objects are kept after the commit."""


def keep_replaced(lake: Lake, landing: CommittedLanding, *, for_good: bool) -> None:
    """Store a copy of the manifest that is about to be replaced. The objects it lists are kept as long as the copy.

    Raises `InputChanged` if it was replaced already.
    """
    stored = lake.get(landing.key)
    if stored is None or stored.etag != landing.etag:
        raise InputChanged
    key = kept_manifest_key if for_good else replaced_manifest_key
    lake.put(key(landing.manifest.day, landing.sha256), stored.body)


def clear_leftovers(lake: Lake, day: date, now: datetime) -> list[str]:
    """Delete the day's old objects that no manifest needs. Returns warnings instead of raising, since the day is
    already committed."""
    try:
        found = [*lake.listing(day_prefix("raw", day)), *lake.listing(day_prefix("quarantine", day))]
        removable = [each for each in found if _may_be_old(each, day, now)]
        committed = read_landing(lake, day) if removable else None
        if committed is not None:
            needed = {committed.key, *_needed(lake, day, found, now), *_listed(committed.manifest)}
            lake.delete(each.key for each in removable if each.key not in needed)
    except GameAnalyticsError as error:
        return [f"old objects that no manifest needs could not be removed: {error}"]
    return []


def _may_be_old(found: Listed, day: date, now: datetime) -> bool:
    """A manifest at the old key may be deleted at once: it is needed only while there is none at the new one. Schemas
    stay."""
    if found.key.startswith((kept_prefix(day), schemas_prefix(day))):
        return False
    stays = REPLACED_STAYS if found.key.startswith(replaced_prefix(day)) else LEFTOVERS_STAY
    return found.key == old_manifest_key(day) or now - found.last_modified > stays


def _needed(lake: Lake, day: date, found: Sequence[Listed], now: datetime) -> Iterator[str]:
    """The objects of landings that were replaced less than a week ago, or are kept forever."""
    for each in found:
        is_young = each.key.startswith(replaced_prefix(day)) and now - each.last_modified <= REPLACED_STAYS
        if is_young or each.key.startswith(kept_prefix(day)):
            stored = lake.get(each.key)
            if stored is not None:
                yield from _listed(Manifest.from_json(stored.body, lake.uri(each.key)))


def _listed(manifest: Manifest) -> set[str]:
    return {landed.key for landed in manifest.objects}
