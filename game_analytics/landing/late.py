"""Late events: events of other days that landings have found, and that those days' landings have not read yet.

Read from the manifests alone: each says what its landing found of other days, and which offsets it has read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import read_landing_or_warn
from game_analytics.lake.manifest import Manifest
from game_analytics.landing.offsets import NOTHING, Offsets


@dataclass(frozen=True)
class Finding:
    """Events of ``day`` that its landing has not read, and the landing of ``found_by`` has."""

    day: date
    found_by: date
    events: int
    manifest_sha256: str
    """Of the landing that found them: another landing of that day is another finding."""
    lacking_sha256: str
    """Of the day's own landing, which has not read them."""

    def __str__(self) -> str:
        return f"{self.events:,} events of {self.day}, found by the landing of {self.found_by}"


def find_late_events(lake: Lake, days: Sequence[date], warn: Callable[[str], None]) -> list[Finding]:
    """Late events among the landings of these days, by day and by finder.

    Events are no longer late once the day's landing has read the offsets of the finder's. Only landings with a closed
    window count, on both sides, and only of one log: a day that was not landed, or too early, is landed first. A
    manifest that can't be read is a warning, and its day is left out.
    """
    landed = {day: landing for day in days if (landing := read_landing_or_warn(lake, day, warn)) is not None}
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
    return all(read.get(each.partition, NOTHING).covers(each.first, each.end) for each in found.partitions)
