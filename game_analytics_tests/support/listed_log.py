"""An event log over a list of messages, with the interface's full behaviour."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import MESSAGES, EventLog, Extent, Found


@dataclass(frozen=True)
class Message:
    """One message: offset, timestamp and value."""

    offset: int
    delivered: datetime
    value: bytes | None

    @property
    def timestamp_ms(self) -> int:
        return round(self.delivered.timestamp() * 1000)


@dataclass
class ListedLog(EventLog):
    """Partitions as lists of messages, by offset; gaps between offsets are allowed. ``low`` and ``stable`` are set by
    hand where they differ from the first message's offset (or 0) and from the high watermark."""

    partitions: Mapping[int, Sequence[Message]]
    name: str = "game-events"
    low: dict[int, int] = field(default_factory=dict)
    high: dict[int, int] = field(default_factory=dict)
    stable: dict[int, int] = field(default_factory=dict)
    topic_id: str | None = None
    cluster_id: str | None = None

    @property
    def topic(self) -> str:
        return self.name

    @property
    def identity(self) -> LogIdentity:
        return LogIdentity(self.name, self.topic_id, self.cluster_id)

    def extents(self) -> Mapping[int, Extent]:
        return {partition: self._extent(partition) for partition in self.partitions}

    def _extent(self, partition: int) -> Extent:
        low = self.low.get(partition, 0)
        messages = self.partitions[partition]
        high = self.high.get(partition, messages[-1].offset + 1 if messages else low)
        return Extent(low, high, self.stable.get(partition, high))

    def _held(self, partition: int) -> list[Message]:
        return [message for message in self.partitions[partition] if message.offset >= self.low.get(partition, 0)]

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        return {
            partition: next(
                (
                    Found(message.offset, message.timestamp_ms)
                    for message in self._held(partition)
                    if message.delivered >= instant
                ),
                None,
            )
            for partition in self.partitions
        }

    def read(
        self,
        partition: int,
        first: int,
        end: int,
        *,
        max_messages: int,
        max_bytes: int,  # noqa: ARG002
    ) -> Iterator[pl.DataFrame]:
        held = [message for message in self._held(partition) if first <= message.offset < end]
        for start in range(0, len(held), max_messages):
            batch = held[start : start + max_messages]
            yield pl.DataFrame(
                {
                    "kafka_offset": [message.offset for message in batch],
                    "kafka_timestamp": [message.timestamp_ms for message in batch],
                    "value": [message.value for message in batch],
                },
                schema={"kafka_offset": pl.Int64, "kafka_timestamp": pl.Int64, "value": pl.Binary},
            ).cast(MESSAGES)
