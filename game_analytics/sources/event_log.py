"""The interface that every source of events implements: a partitioned log with offsets and timestamps, as Kafka's.

What a day is, which of its messages count and where they go is decided elsewhere; a log only finds and delivers.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from game_analytics.rules.log_identity import LogIdentity

MESSAGES = pl.Schema(
    {
        "kafka_offset": pl.Int64(),
        "kafka_timestamp": pl.Datetime("ms", "UTC"),
        "value": pl.Binary(),
    }
)
"""One row per message of one partition, by offset. A null value is a tombstone, a null timestamp one never set."""


@dataclass(frozen=True)
class Extent:
    """The offsets a partition holds: ``low`` up to but without ``high``, readable up to ``stable`` (below ``high``
    while a transaction is open)."""

    low: int
    high: int
    stable: int


@dataclass(frozen=True)
class Found:
    """A message's place: its offset, and its timestamp in milliseconds since 1970 (any int64, as Kafka keeps it)."""

    offset: int
    timestamp_ms: int


class Reader(ABC):
    """Reads ranges of a log one after the other. It may keep a connection and a position between them."""

    @abstractmethod
    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """The messages with ``first <= offset < end`` in batches of `MESSAGES`, bounded by count and by bytes of
        values (one message larger than ``max_bytes`` comes alone). Offsets without a message are passed over, and so
        are those that the partition does not hold. An empty batch is a sign of life while the log is waited for."""


class EventLog(Reader):
    """Read-only access by partition and offset. Nothing is remembered between calls: no group, no position."""

    simulated = False
    """Whether the events are invented. They don't get into a production lake."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """The log's name. Two logs with other contents have other names."""

    @property
    def identity(self) -> LogIdentity:
        """What tells this log from another one; asked for anew by each landing."""
        return LogIdentity(self.topic)

    @abstractmethod
    def extents(self) -> Mapping[int, Extent]:
        """What each partition holds at this moment."""

    @abstractmethod
    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        """For each partition the first message whose timestamp is ``instant`` or later; None where there is none."""

    def reader(self) -> AbstractContextManager[Reader]:
        """A reader for many ranges, closed with the block. A log without connections is its own reader."""
        return nullcontext(self)
