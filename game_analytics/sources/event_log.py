"""The interface of sources of events: a partitioned log with offsets and timestamps, like a Kafka topic.

A log looks up offsets and delivers messages. Days, classes and storage are decided elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
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
"""One row per message of one partition, by offset. A null value is a tombstone; a null timestamp was never set."""

ON_REQUEST = pl.Schema(
    {
        "key": pl.Binary(),
        "headers": pl.List(pl.Struct({"name": pl.String(), "value": pl.Binary()})),
    }
)
"""Columns that a reader adds to `MESSAGES` where a format asks for them; null where a message has none."""


@dataclass(frozen=True)
class Extent:
    """The offsets of a partition: ``low`` up to but without ``high``, readable up to ``stable`` (below ``high`` while a
    transaction is open)."""

    low: int
    high: int
    stable: int


@dataclass(frozen=True)
class Found:
    """A message's offset, and its timestamp in milliseconds since 1970 (any int64, as in Kafka)."""

    offset: int
    timestamp_ms: int


class Reader(ABC):
    """Reads ranges of a log one after another. It may keep a connection and a position between them."""

    @abstractmethod
    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """The messages with ``first <= offset < end`` in batches of `MESSAGES`, limited by count and by bytes of values
        (a message larger than ``max_bytes`` is a batch of its own). Offsets without a message are skipped, as are
        offsets that the partition does not hold. While waiting, the reader yields an empty batch now and then."""


class EventLog(Reader):
    """Read-only access by partition and offset. Stateless between calls: no consumer group, no position."""

    simulated = False
    """Whether the events are simulated; these are not written to a production lake."""

    @property
    @abstractmethod
    def topic(self) -> str:
        """The log's name. Logs with different contents have different names."""

    @property
    def identity(self) -> LogIdentity:
        """What identifies this log. Each landing reads it afresh."""
        return LogIdentity(self.topic)

    @abstractmethod
    def extents(self) -> Mapping[int, Extent]:
        """The offsets of each partition at this moment."""

    @abstractmethod
    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        """For each partition the first message with this timestamp or a later one; None if there is none."""

    def reader(self, on_request: Collection[str] = ()) -> AbstractContextManager[Reader]:
        """A reader for many ranges, closed with the block, that adds these columns of `ON_REQUEST`.

        By default the log itself, for one without connections, whose messages have neither keys nor headers.
        """
        return nullcontext(_WithNulls(self, on_request) if on_request else self)


class _WithNulls(Reader):
    """Adds columns of `ON_REQUEST`, all null."""

    def __init__(self, reader: Reader, names: Collection[str]) -> None:
        self._reader = reader
        self._nulls = [pl.lit(None, ON_REQUEST[name]).alias(name) for name in names]

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        for messages in self._reader.read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes):
            yield messages.with_columns(self._nulls)
