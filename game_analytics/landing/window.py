"""Where a day lies in the log: its window in time, and the offsets of each partition that this window means.

Offsets are found by time, never by a consumer group's position, so that a day can be read again.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

from game_analytics.landing.offsets import NOTHING, Offsets
from game_analytics.rules.days import FIRST_DAY, Window, milliseconds_floor, window_of
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import EventLog, Extent, Found

FAR_AHEAD = timedelta(days=1)
"""A message stamped this far past a window's end is not taken for the window's end."""

_START_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Lookups:
    """The log as it was when this was made: watermarks are asked for once, before reading, and each instant once."""

    def __init__(self, log: EventLog, lateness: timedelta, now: datetime) -> None:
        self.lateness = lateness
        self.now = now
        self.identity: LogIdentity = log.identity
        self.extents: Mapping[int, Extent] = log.extents()
        self._found = cache(log.first_at_or_after)

    def found_at(self, instant: datetime, partition: int) -> Found | None:
        """The first message at or after the instant, unless it came after the watermarks were asked for."""
        found = self._found(instant).get(partition)
        return found if found is not None and found.offset < self.extents[partition].high else None

    def offset_at(self, instant: datetime, partition: int) -> int:
        """The first offset at or after the instant; the high watermark where there is none."""
        found = self.found_at(instant, partition)
        return self.extents[partition].high if found is None else found.offset

    def first_left(self, partition: int) -> Found | None:
        return self.found_at(_START_OF_TIME, partition)

    def bounds(self, window: Window, partition: int) -> Offsets:
        """The window in offsets of the partition.

        A log that finds nothing at the start and something at the end has not seen what is there: the window then
        starts at the low watermark. Nothing lies in a window before the topic's first message.
        """
        extent = self.extents[partition]
        start, end = self.found_at(window.start, partition), self.offset_at(window.end, partition)
        if self._lies_before_all(window.end):
            return Offsets(end, end)
        if self.stamped_ahead(window.end, partition) is not None:
            end = extent.high
        unseen = extent.low if end < extent.high else extent.high
        first = unseen if start is None else start.offset
        return Offsets(min(first, end), end)

    def stamped_ahead(self, end: datetime, partition: int) -> Found | None:
        """The message found at the window's end, if its timestamp lies in the future or far past that end: it would
        hide all that was delivered after it, so it must not cut the day short."""
        found = self.found_at(end, partition)
        latest = milliseconds_floor(min(self.now, end + FAR_AHEAD))
        if found is None or found.timestamp_ms <= latest or self._lies_before_all(end):
            return None
        return found

    def _lies_before_all(self, end: datetime) -> bool:
        """Whether each partition that holds any message begins after this instant. One that begins in the future has a
        wrong stamp, which proves nothing."""
        begins = [self.first_left(partition) for partition, extent in self.extents.items() if extent.low < extent.high]
        from_ms, to_ms = milliseconds_floor(end), milliseconds_floor(self.now)
        return bool(begins) and all(found is not None and from_ms < found.timestamp_ms <= to_ms for found in begins)


def own_bounds(lookups: Lookups, day: date, partition: int) -> Offsets:
    """The offsets that a landing of ``day`` by itself would read; none for one before the first partition or later than
    tomorrow, which nobody lands."""
    if not FIRST_DAY <= day <= lookups.now.date() + FAR_AHEAD:
        return NOTHING
    return lookups.bounds(window_of(day, lookups.lateness), partition)
