"""The event log that needs no broker: simulated matches, generated when they are read, up to the clock's time.

Its offsets and timestamps are those of a Kafka topic.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from game_analytics.rules.days import milliseconds_ceil
from game_analytics.simulation.messages import delivered_at, timeline, value
from game_analytics.simulation.schedule import HOUR_MS, Simulation, start_of
from game_analytics.sources.event_log import EventLog, Extent, Found

_EVENT_BYTES = 150  # about the size of one


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class MemoryEventLog(EventLog):
    """A topic of simulated matches, from its first message to those delivered before now. Nothing is ever removed."""

    simulated = True

    simulation: Simulation
    clock: Callable[[], datetime] = utc_now

    @property
    def topic(self) -> str:
        """Names all settings, so that another simulation is another topic."""
        it = self.simulation
        trouble = f"malformed{float(it.malformed_share)}-repeated{float(it.repeated_share)}-late{float(it.late_share)}"
        return f"simulation-seed{it.seed}-{it.events_per_day}x{it.partitions}-{trouble}"

    def extents(self) -> Mapping[int, Extent]:
        """From offset 0 to the last message before now; there are no transactions."""
        now_ms = milliseconds_ceil(self.clock())
        highs = [self._first_at_or_after(partition, now_ms).offset for partition in self._partitions]
        return {partition: Extent(low=0, high=high, stable=high) for partition, high in enumerate(highs)}

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        """The first message of each partition that was delivered at the instant or later, but before now."""
        wanted_ms, now_ms = milliseconds_ceil(instant), milliseconds_ceil(self.clock())
        if wanted_ms >= now_ms:
            return dict.fromkeys(self._partitions)
        found = {partition: self._first_at_or_after(partition, wanted_ms) for partition in self._partitions}
        return {partition: first if first.timestamp_ms < now_ms else None for partition, first in found.items()}

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """The messages in [``first``, ``end``), as `EventLog.read`; offsets outside the log are left out."""
        first, end = max(first, 0), min(end, self.extents()[partition].high)
        step = max(1, min(max_messages, max_bytes // _EVENT_BYTES))
        for start in range(first, end, step):
            yield from _bounded(self._messages(partition, start, min(start + step, end)), max_bytes)

    @property
    def _partitions(self) -> range:
        return range(self.simulation.partitions)

    def _first_at_or_after(self, partition: int, instant_ms: int) -> Found:
        """The first message at or after the instant, delivered yet or not. On the hour that is the heartbeat."""
        hour, ms = divmod(instant_ms - milliseconds_ceil(start_of(0)), HOUR_MS)
        if hour < 0:
            hour = ms = 0
        if ms > 0:
            delivered = _rows(self.simulation, partition, hour)["delivered_ms"]
            index = delivered.search_sorted(ms, side="left")
            if index < delivered.len():
                offset = self.simulation.first_offset(partition, hour) + index
                return Found(offset, milliseconds_ceil(start_of(hour)) + delivered[index])
            hour += 1
        return Found(self.simulation.first_offset(partition, hour), milliseconds_ceil(start_of(hour)))

    def _messages(self, partition: int, first: int, end: int) -> pl.DataFrame:
        """The messages of a range of offsets, which must not be empty and may span hours."""
        parts = []
        while first < end:
            hour = self.simulation.hour_of(partition, first)
            opening = self.simulation.first_offset(partition, hour)
            rows = _rows(self.simulation, partition, hour).slice(first - opening, end - first)
            offsets = pl.int_range(first, first + rows.height, dtype=pl.Int64)
            parts.append(rows.select(kafka_offset=offsets, kafka_timestamp=delivered_at(hour), value=value(hour)))
            first += rows.height
        return pl.concat(parts)


# Partitions are read one after the other, each through all hours. A day, the rest of its window and some look-ups must
# fit into the cache, or every partition would generate each hour again.
@lru_cache(maxsize=36)
def _hour(simulation: Simulation, hour: int) -> pl.DataFrame:
    return timeline(simulation, hour)


def _rows(simulation: Simulation, partition: int, hour: int) -> pl.DataFrame:
    """The hour's messages of one partition; the timeline is sorted by partition."""
    before = sum(simulation.messages_in(other, hour) for other in range(partition))
    return _hour(simulation, hour).slice(before, simulation.messages_in(partition, hour))


def _bounded(messages: pl.DataFrame, max_bytes: int) -> Iterator[pl.DataFrame]:
    """The messages in batches of at most so many bytes of values, but at least one message."""
    while not messages.is_empty():
        bytes_so_far = messages["value"].bin.size().fill_null(0).cum_sum()
        count = max(1, bytes_so_far.search_sorted(max_bytes, side="right"))
        yield messages.head(count)
        messages = messages.slice(count)
