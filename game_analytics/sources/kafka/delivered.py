"""Which messages of a topic are delivered: control records, aborted messages and compacted ones are found by time,
and never handed to a reader. What was learned is remembered, so that no offset is asked for twice."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from game_analytics.sources.event_log import Extent, Found

PEEKING = {
    # The first message is all that is wanted. A broker sends a whole batch of them at least.
    "fetch.message.max.bytes": "16384",
}
"""What the consumer of `first_delivered` gets besides a reader's properties. A file can't change it."""

_AT_ONCE = 200
_HEARTBEAT_SECONDS = 1.0
_MINUTE_MS = 60_000


Peeked = tuple[dict[int, Found | None], dict[int, KafkaError]]
"""Of some partitions the first message, or None where there is none; and the errors that came instead of it."""


def first_delivered(consumer: Consumer, topic: str, offsets: Mapping[int, int]) -> Iterator[Peeked]:
    """The first message that is delivered at each of these offsets, by partition, or behind it; None where the
    partition ends without one, as far as it can be read. They come bit by bit, at least once a second, if only as
    nothing, until each partition has answered."""
    consumer.assign([TopicPartition(topic, *place) for place in offsets.items()])
    try:
        left = set(offsets)
        while left:
            delivered = consumer.consume(_AT_ONCE, 0) or consumer.consume(1, _HEARTBEAT_SECONDS)
            firsts, errors = _sorted([message for message in delivered if message.partition() in left])
            if firsts:
                # A broker sends whole batches, of one partition after the other: who has answered shall send no more.
                consumer.incremental_unassign([TopicPartition(topic, partition) for partition in firsts])
                left -= firsts.keys()
            yield firsts, errors
    finally:
        consumer.unassign()  # else it would go on fetching


def _sorted(delivered: list[Message]) -> Peeked:
    firsts: dict[int, Found | None] = {}
    errors: dict[int, KafkaError] = {}
    for message in delivered:
        partition, error = message.partition(), message.error()
        assert partition is not None  # noqa: S101 - only a message made by hand has none
        if error is None:
            firsts.setdefault(partition, Found(_offset(message), message.timestamp()[1]))
        elif error.code() == KafkaError._PARTITION_EOF:
            firsts.setdefault(partition, None)
        else:
            errors[partition] = error
    return firsts, errors


@dataclass
class Scan:
    """What was delivered of one partition from offset ``origin`` up to but without ``position``: of each minute the
    first message that is stamped in it or later. So its size is bounded by time, however many messages there are."""

    origin: int
    position: int
    _offsets: list[int] = field(default_factory=list)
    _timestamps: list[int] = field(default_factory=list)
    _next_minute: int | None = None

    def covers(self, offset: int) -> bool:
        """Whether it tells of the messages from the offset on, or can be continued to do so without a gap."""
        return self.origin <= offset <= self.position

    def add(self, messages: list[Message]) -> None:
        """Take in what was delivered next."""
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
    assert offset is not None  # noqa: S101 - only a message made by hand has none
    return offset


@dataclass(frozen=True)
class Known:
    """What look-ups have learned of a log, as it was when its extents were told. They must not change while a day is
    landed, so nothing of it is asked for twice."""

    extents: Mapping[int, Extent] = field(default_factory=dict)
    newest: dict[int, Found] = field(default_factory=dict)
    """The latest timestamp of each partition, by the brokers' index."""
    firsts: dict[tuple[int, int], Found | None] = field(default_factory=dict)
    """By partition and offset the first message that is delivered there or behind it."""
    scans: dict[int, Scan] = field(default_factory=dict)

    def renewed(self, extents: Mapping[int, Extent]) -> "Known":
        """What is left of it when other extents are told: scans, unless some of their messages were dropped."""
        scans = {
            partition: self.scans[partition]
            for partition in extents.keys() & self.scans.keys()
            if self.scans[partition].origin >= extents[partition].low
        }
        return Known(extents, scans=scans)
