"""Which stretch of the simulated log a topic holds, and hence which message comes next in each of its partitions.

The simulation is deterministic and timestamps never fall, so the newest message tells: where several share its
millisecond, as many of them are there as lie from the first one of that timestamp to the end. The oldest message must
lie where counting back from there leads, so that nothing is missing in between, nothing was repeated, and nobody else's
is among it. That takes two messages and two look-ups a partition, however long the topic is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import LEAD, milliseconds_ceil, time_text, window_of
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.publisher import ELSEWHERE
from game_analytics.simulation.schedule import START, Simulation
from game_analytics.sources.event_log import EventLog, Extent

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)

Content = tuple[int | None, bytes | None]
"""Timestamp in milliseconds_ceil since 1970, and value."""


@dataclass(frozen=True)
class Standing:
    """Where a topic ends, by partition: in offsets of its own, and in those of the simulated log, which has no end."""

    ends: Mapping[int, int]
    position: Mapping[int, int]


def standing_of(log: EventLog, simulation: Simulation, start: datetime) -> Standing:
    """Where a log, with as many partitions as the simulation, is gone on with: where it ends, or at ``start`` if it
    holds nothing. Raises `GameAnalyticsError` if it holds anything but one stretch of the simulated log."""
    simulated = endless(simulation)
    extents = log.extents()
    held = [partition for partition, extent in extents.items() if extent.low < extent.high]
    shifts = {partition: _Held(log, simulated, partition, extents[partition]).shift() for partition in held}
    firsts = firsts_at(simulated, start)
    if held and len(held) < len(extents):
        oldest = {partition: extents[partition].low + shifts[partition] for partition in held}
        firsts = _common_beginning(log, simulated, oldest)
    ends = {partition: extent.high for partition, extent in extents.items()}
    position = {
        partition: end + shifts[partition] if partition in shifts else firsts[partition]
        for partition, end in ends.items()
    }
    return Standing(ends, position)


def endless(simulation: Simulation) -> MemoryEventLog:
    """The simulated log, the future included."""
    return MemoryEventLog(simulation, clock=lambda: _END)


def firsts_at(simulated: MemoryEventLog, instant: datetime) -> dict[int, int]:
    """The offset of each partition's first message that is delivered at the instant or later."""
    found = simulated.first_at_or_after(instant)
    return {partition: first.offset for partition, first in found.items() if first is not None}


def next_delivery(simulated: MemoryEventLog, position: Mapping[int, int]) -> datetime:
    """When the first of the messages at these offsets is delivered."""
    contents = [_content(simulated, partition, offset) for partition, offset in position.items()]
    return _instant(min(content[0] for content in contents if content is not None and content[0] is not None))


@dataclass(frozen=True)
class _Held:
    """What a partition holds, to be compared with the simulated log."""

    log: EventLog
    simulated: MemoryEventLog
    partition: int
    extent: Extent

    def shift(self) -> int:
        """How much higher the messages' offsets are in the simulated log. Raises `GameAnalyticsError` if they are not
        one stretch of it."""
        if self.extent.stable < self.extent.high:
            raise self._refusal(self.extent.stable)
        last = self.extent.high - 1
        newest = self._content(last)
        if newest is None or newest[0] is None or not milliseconds_ceil(START) <= newest[0] < milliseconds_ceil(_END):
            raise self._refusal(last)
        instant = _instant(newest[0])
        first = self.log.first_at_or_after(instant)[self.partition]
        if first is None or first.timestamp_ms != newest[0]:  # one ahead of its time lies before the newest
            raise self._refusal(last if first is None else first.offset)
        shift = firsts_at(self.simulated, instant)[self.partition] - first.offset
        for offset in range(first.offset, self.extent.high):
            if not self._fits(offset, shift):
                raise self._refusal(offset)
        if not self._fits(self.extent.low, shift):
            raise self._refusal(self._last_misfit(shift))
        return shift

    def _last_misfit(self, shift: int) -> int:
        """Behind it all fit, which halving finds: the oldest message does not fit, and the newest does."""
        misfit, fit = self.extent.low, self.extent.high - 1
        while fit - misfit > 1:
            middle = (misfit + fit) // 2
            misfit, fit = (misfit, middle) if self._fits(middle, shift) else (middle, fit)
        return misfit

    def _fits(self, offset: int, shift: int) -> bool:
        found = self._content(offset)
        return found is not None and found == _content(self.simulated, self.partition, offset + shift)

    def _content(self, offset: int) -> Content | None:
        return _content(self.log, self.partition, offset)

    def _refusal(self, offset: int) -> GameAnalyticsError:
        found = self._content(offset) if offset < self.extent.stable else None
        if found is None:
            what = "part of a transaction, or compacted"
        else:
            what = "without a timestamp" if found[0] is None else f"stamped {time_text(found[0])}"
        return GameAnalyticsError(
            f"The topic {self.log.topic} does not hold what these settings simulate, message by message: partition "
            f"{self.partition}, offset {offset} ({what}) does not fit. Nothing was sent. If it was published with "
            f"other settings (--events, --seed, shares), use those. Else follow into {ELSEWHERE}"
        )


def _common_beginning(log: EventLog, simulated: MemoryEventLog, oldest: Mapping[int, int]) -> dict[int, int]:
    """Where each partition begins if all began together, before any message of some of them was sent. ``oldest`` is
    the first message of those that hold any.

    Raises `GameAnalyticsError` if they did not begin so: then the others have lost what they held.
    """
    day = (next_delivery(simulated, oldest) + LEAD).date()
    firsts = firsts_at(simulated, window_of(day, timedelta()).start)
    if any(firsts[partition] != offset for partition, offset in oldest.items()):
        empty = ", ".join(str(partition) for partition in firsts if partition not in oldest)
        raise GameAnalyticsError(
            f"The topic {log.topic} holds nothing in partition {empty}, but messages in others that are not the first "
            "ones of a day: what was there has expired or was deleted, so nothing tells where to go on. Nothing was "
            f"sent. Follow into {ELSEWHERE}"
        )
    return firsts


def _content(log: EventLog, partition: int, offset: int) -> Content | None:
    """The message at the offset, if there is one."""
    for batch in log.read(partition, offset, offset + 1, max_messages=1, max_bytes=1):
        for timestamp, value in batch.select(pl.col("kafka_timestamp").dt.epoch("ms"), "value").iter_rows():
            return timestamp, value
    return None


def _instant(timestamp_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=timestamp_ms)
