"""Which messages of a topic are delivered: brokers index control records, aborted and compacted messages by time too,
but never deliver them. Results are remembered for the look-ups of one landing."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from game_analytics.sources.event_log import Extent, Found

PEEKING = {
    # Only the first message is wanted; a broker sends at least one whole batch.
    "fetch.message.max.bytes": "16384",
}
"""Properties of the consumer of `first_delivered` besides a reader's. The properties file can't change them."""

_AT_ONCE = 200
_HEARTBEAT_SECONDS = 1.0
_MINUTE_MS = 60_000


Peeked = tuple[dict[int, Found | None], dict[int, KafkaError]]
"""For some partitions the first message, or None if there is none; for others the error."""


def first_delivered(consumer: Consumer, topic: str, offsets: Mapping[int, int]) -> Iterator[Peeked]:
    """By partition the first message delivered at this offset or after it; None if the readable part ends without one.
    Yields results as they come, at least once a second, possibly empty, until each partition has one."""
    consumer.assign([TopicPartition(topic, *place) for place in offsets.items()])
    try:
        left = set(offsets)
        while left:
            delivered = consumer.consume(_AT_ONCE, 0) or consumer.consume(1, _HEARTBEAT_SECONDS)
            firsts, errors = _sorted([message for message in delivered if message.partition() in left])
            if firsts:
                # Brokers send whole batches, partition by partition: stop those that have answered.
                consumer.incremental_unassign([TopicPartition(topic, partition) for partition in firsts])
                left -= firsts.keys()
            yield firsts, errors
    finally:
        consumer.unassign()  # otherwise it would go on fetching


def _sorted(delivered: list[Message]) -> Peeked:
    firsts: dict[int, Found | None] = {}
    errors: dict[int, KafkaError] = {}
    for message in delivered:
        partition, error = message.partition(), message.error()
        assert partition is not None  # noqa: S101 - only a message that was never sent has none
        if error is None:
            firsts.setdefault(partition, Found(_offset(message), message.timestamp()[1]))
        elif error.code() == KafkaError._PARTITION_EOF:
            firsts.setdefault(partition, None)
        else:
            errors[partition] = error
    return firsts, errors


@dataclass
class Scan:
    """The offsets ``origin`` up to but without ``position`` of a partition: for each minute the first message stamped
    in it or later. Its size is bounded by minutes, not by messages."""

    origin: int
    position: int
    _offsets: list[int] = field(default_factory=list)
    _timestamps: list[int] = field(default_factory=list)
    _next_minute: int | None = None

    def covers(self, offset: int) -> bool:
        """Whether it covers the messages from the offset on, or can be continued there without a gap."""
        return self.origin <= offset <= self.position

    def add(self, messages: list[Message]) -> None:
        """Add the messages that were delivered next."""
        for message in messages:
            timestamp = message.timestamp()[1]
            if self._next_minute is None or timestamp >= self._next_minute:
                self._next_minute = (timestamp // _MINUTE_MS + 1) * _MINUTE_MS
                self._offsets.append(_offset(message))
                self._timestamps.append(timestamp)
        if messages:
            self.position = max(self.position, _offset(messages[-1]) + 1)

    def first_since_minute_of(self, timestamp_ms: int) -> Found | None:
        """The first message that is stamped in the minute of this timestamp or later."""
        index = bisect_left(self._timestamps, timestamp_ms // _MINUTE_MS * _MINUTE_MS)
        return Found(self._offsets[index], self._timestamps[index]) if index < len(self._offsets) else None


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None  # noqa: S101 - only a message that was never sent has none
    return offset


@dataclass(frozen=True)
class Known:
    """Results of look-ups in a log with these extents. They must not change while a day is landed, so each is looked up
    once."""

    extents: Mapping[int, Extent] = field(default_factory=dict)
    newest: dict[int, Found] = field(default_factory=dict)
    """The latest timestamp of each partition, by the brokers' index."""
    firsts: dict[tuple[int, int], Found | None] = field(default_factory=dict)
    """By partition and offset the first message delivered there or after it."""
    scans: dict[int, Scan] = field(default_factory=dict)

    def renewed(self, extents: Mapping[int, Extent]) -> "Known":
        """What stays valid with new extents: the scans of which no message was dropped."""
        scans = {
            partition: self.scans[partition]
            for partition in extents.keys() & self.scans.keys()
            if self.scans[partition].origin >= extents[partition].low
        }
        return Known(extents, scans=scans)
