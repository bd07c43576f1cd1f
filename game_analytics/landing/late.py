"""Late events: what landings have found of other days, and what of it those days' landings don't hold yet.

A fact of the lake alone: each manifest tells what its landing found, and how far the other days were read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.standing import Standing, read_standing
from game_analytics.landing.offsets import NOTHING, Offsets


@dataclass(frozen=True)
class Finding:
    """Events of ``day`` that its landing has not read, and that of ``found_by`` has."""

    day: date
    found_by: date
    events: int
    manifest_sha256: str
    """Of the landing that found them: another landing of that day is another finding."""
    standing_sha256: str
    """Of the landing that lacks them."""

    def __str__(self) -> str:
        return f"{self.events:,} events of {self.day}, found by the landing of {self.found_by}"


def owed(lake: Lake, days: Sequence[date], warn: Callable[[str], None]) -> list[Finding]:
    """What the landings of these days have found that others among them do not hold yet, by day and by finder.

    A day counts as healed once it was read as far as the finder was. One that was not landed yet, or too early, is not
    owed, since its landing comes first, nor is one of another log; and a landing that did not see its whole window
    tells nothing yet. Nor does one whose manifest can't be read, which is a warning; the other days go ahead.
    """
    landed = {day: found for day in days if (found := _readable_manifest(lake, day, warn)) is not None}
    return [
        Finding(day, finder, events, found.sha256, own.sha256)
        for day, own in landed.items()
        for finder, found in landed.items()
        if finder != day
        and own.manifest.window_closed
        and found.manifest.window_closed
        and (events := found.manifest.missed.get(day.isoformat(), 0))
        and own.manifest.log.is_same_as(found.manifest.log)
        and not _has_read_all_of(own.manifest, found.manifest)
    ]


def _has_read_all_of(own: Manifest, found: Manifest) -> bool:
    read = {account.partition: Offsets(account.first, account.end) for account in own.partitions}
    return all(read.get(each.partition, NOTHING).hold_all(each.first, each.end) for each in found.partitions)


def _readable_manifest(lake: Lake, day: date, warn: Callable[[str], None]) -> Standing | None:
    try:
        return read_standing(lake, day)
    except Unavailable:
        raise
    except GameAnalyticsError as error:
        warn(str(error))
        return None
