"""A day's window in the log, as offsets of each partition.

Offsets are looked up by time, never by a consumer group's position, so that a day can be read again.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.offsets import NOTHING, Offsets
from game_analytics.rules.days import FIRST_DAY, Window, milliseconds_floor, window_of
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import EventLog, Extent, Found

FAR_AHEAD = timedelta(days=1)
"""A message stamped this far past a window's end does not mark that end."""

_LOOK_BYTES = 1024 * 1024

_START_OF_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class LogSnapshot:
    """The log at one moment: its watermarks are fetched once, before reading, and each instant is looked up once."""

    def __init__(self, log: EventLog, lateness: timedelta, now: datetime) -> None:
        self.lateness = lateness
        self.now = now
        self.identity: LogIdentity = log.identity
        self.extents: Mapping[int, Extent] = log.extents()
        self._log = log
        self._found = cache(log.first_at_or_after)

    def ensure_found_by_time(self) -> None:
        """Raises `GameAnalyticsError` if a partition holds a message that no look-up by time finds: every day would
        land empty."""
        for partition, extent in self.extents.items():
            if extent.low >= extent.stable or self.first_left(partition) is not None:
                continue
            reading = self._log.read(partition, extent.low, extent.stable, max_messages=1, max_bytes=_LOOK_BYTES)
            held = next((batch for batch in reading if not batch.is_empty()), None)
            if held is not None:
                raise GameAnalyticsError(
                    f"Partition {partition} of {self.identity} holds a message at offset {held['kafka_offset'][0]:,}, "
                    "but a look-up by time finds none in all years since 1970, so no day can be found in it. Either "
                    "its messages have no timestamps (clients older than Kafka 0.10 write none), or the server answers "
                    "no look-ups by time, as librdkafka's mock cluster. Nothing was committed."
                )

    def found_at(self, instant: datetime, partition: int) -> Found | None:
        """The first message at or after the instant, unless it was delivered after the watermarks were fetched."""
        found = self._found(instant).get(partition)
        return found if found is not None and found.offset < self.extents[partition].high else None

    def offset_at(self, instant: datetime, partition: int) -> int:
        """The first offset at or after the instant; the high watermark where there is none."""
        found = self.found_at(instant, partition)
        return self.extents[partition].high if found is None else found.offset

    def first_left(self, partition: int) -> Found | None:
        return self.found_at(_START_OF_TIME, partition)

    def bounds(self, window: Window, partition: int) -> Offsets:
        """The window as offsets of the partition.

        Where the log finds a message at the window's end but none at its start, its time index is incomplete: the
        window then starts at the low watermark. A window that ends before the topic's first message is empty.
        """
        extent = self.extents[partition]
        start, end = self.found_at(window.start, partition), self.offset_at(window.end, partition)
        if self._lies_before_all(window.end):
            return Offsets(end, end)
        if self.stamped_ahead(window.end, partition) is not None:
            end = extent.high
        without_start = extent.low if end < extent.high else extent.high
        first = without_start if start is None else start.offset
        return Offsets(min(first, end), end)

    def stamped_ahead(self, end: datetime, partition: int) -> Found | None:
        """The message found at the window's end, if its timestamp lies in the future or far past that end: everything
        delivered after it would be cut off, so it must not mark the end."""
        found = self.found_at(end, partition)
        latest = milliseconds_floor(min(self.now, end + FAR_AHEAD))
        if found is None or found.timestamp_ms <= latest or self._lies_before_all(end):
            return None
        return found

    def _lies_before_all(self, end: datetime) -> bool:
        """Whether every partition that holds messages starts after this instant. A first message stamped in the future
        is wrong, and proves nothing."""
        begins = [self.first_left(partition) for partition, extent in self.extents.items() if extent.low < extent.high]
        from_ms, to_ms = milliseconds_floor(end), milliseconds_floor(self.now)
        return bool(begins) and all(found is not None and from_ms < found.timestamp_ms <= to_ms for found in begins)


def own_bounds(snapshot: LogSnapshot, day: date, partition: int) -> Offsets:
    """The offsets of the window of ``day``; none for a day before the first partition or after tomorrow, which is never
    landed."""
    if not FIRST_DAY <= day <= snapshot.now.date() + FAR_AHEAD:
        return NOTHING
    return snapshot.bounds(window_of(day, snapshot.lateness), partition)
