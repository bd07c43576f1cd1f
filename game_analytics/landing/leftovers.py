"""What a commit leaves behind: the objects of the landing that it replaced, and those of runs that died.

A replaced manifest is kept beside its objects, so that for a week both can be put back; one that was replaced although
events were lost is kept for good.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake, Listed
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import (
    day_prefix,
    kept_manifest_key,
    kept_prefix,
    old_manifest_key,
    replaced_manifest_key,
    replaced_prefix,
)
from game_analytics.lake.standing import Standing, read_standing

LEFTOVERS_STAY = timedelta(hours=24)
"""How long an object that no manifest lists is left alone: a landing that is under way may be about to list it."""

REPLACED_STAYS = timedelta(days=7)
"""How long what a commit has replaced stays, whatever its age."""


def keep_replaced(lake: Lake, landing: Standing, *, for_good: bool) -> None:
    """Store a copy of the manifest that is about to be replaced. What it lists stays as long as this copy does.

    Raises `InputChanged` if it does not stand any more.
    """
    stored = lake.get(landing.key)
    if stored is None or stored.etag != landing.etag:
        raise InputChanged
    key = kept_manifest_key if for_good else replaced_manifest_key
    lake.put(key(landing.manifest.day, landing.sha256), stored.body)


def clear_leftovers(lake: Lake, day: date, now: datetime) -> list[str]:
    """Remove the day's objects that no manifest needs, once they are old. The day is committed already, so what goes
    wrong here is a warning and not its failure: the sentences that are returned."""
    try:
        found = [*lake.listing(day_prefix("raw", day)), *lake.listing(day_prefix("quarantine", day))]
        removable = [each for each in found if _may_be_old(each, day, now)]
        standing = read_standing(lake, day) if removable else None
        if standing is not None:
            needed = {standing.key, *_needed(lake, day, found, now), *_listed(standing.manifest)}
            lake.delete(each.key for each in removable if each.key not in needed)
    except GameAnalyticsError as error:
        return [f"old objects that no manifest needs could not be removed: {error}"]
    return []


def _may_be_old(found: Listed, day: date, now: datetime) -> bool:
    """A manifest at the key of before goes as soon as another stands at today's."""
    if found.key.startswith(kept_prefix(day)):
        return False
    stays = REPLACED_STAYS if found.key.startswith(replaced_prefix(day)) else LEFTOVERS_STAY
    return found.key == old_manifest_key(day) or now - found.last_modified > stays


def _needed(lake: Lake, day: date, found: Sequence[Listed], now: datetime) -> Iterator[str]:
    """The objects of landings that were replaced less than a week ago, or are kept for good."""
    for each in found:
        is_young = each.key.startswith(replaced_prefix(day)) and now - each.last_modified <= REPLACED_STAYS
        if is_young or each.key.startswith(kept_prefix(day)):
            stored = lake.get(each.key)
            if stored is not None:
                yield from _listed(Manifest.from_json(stored.body, lake.uri(each.key)))


def _listed(manifest: Manifest) -> set[str]:
    return {landed.key for landed in manifest.objects}
