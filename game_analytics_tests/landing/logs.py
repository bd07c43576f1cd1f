"""Event logs in trouble, each a `ListedLog` but for one thing: it grows, dies, breaks a promise, or holds timestamps
that no calendar knows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from game_analytics.resources.event_log import Extent, Found
from game_analytics_tests.listed_log import ListedLog, Message


def growing(messages: Sequence[Message]) -> tuple[ListedLog, Callable[[Message], None]]:
    """A log of one partition, and a way to deliver one more message to it."""
    partition = list(messages)
    return ListedLog({0: partition}), partition.append


@dataclass
class GrowsWhileRead(ListedLog):
    """Each time that it is read, one message more is there. It keeps count of how often its extents were asked for."""

    asked: int = 0

    def extents(self) -> Mapping[int, Extent]:
        self.asked += 1
        return super().extents()

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        messages = self.partitions[partition]
        assert isinstance(messages, list)
        last: Message = messages[-1]
        messages.append(Message(last.offset + 1, last.delivered + timedelta(milliseconds=1), last.value))
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


@dataclass
class GrowsWhileLookedUp(ListedLog):
    """These messages arrive after the extents were asked for and before the first look-up."""

    arriving: list[Message] = field(default_factory=list)

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        messages = self.partitions[0]
        assert isinstance(messages, list)
        while self.arriving:
            messages.append(self.arriving.pop(0))
        return super().first_at_or_after(instant)


class Died(Exception):
    """The run was killed."""


@dataclass
class DiesAt(ListedLog):
    """The run dies when it reads this partition."""

    deadly: int = 1

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        if partition == self.deadly:
            raise Died
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


@dataclass
class DeliversTwice(ListedLog):
    """Against the interface, every batch comes a second time."""

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        for batch in super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes):
            yield batch
            yield batch


@dataclass
class DeliversTooMuch(ListedLog):
    """Against the interface, the message at ``end`` comes along."""

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        return super().read(partition, first, end + 1, max_messages=max_messages, max_bytes=max_bytes)


@dataclass
class OneByOne(ListedLog):
    """Delivers each message in a batch of its own, and keeps the bounds that it was asked to hold to."""

    bounds: list[tuple[int, int]] = field(default_factory=list)

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        self.bounds.append((max_messages, max_bytes))
        return super().read(partition, first, end, max_messages=1, max_bytes=max_bytes)


@dataclass(frozen=True)
class OffTheCalendar(Message):
    """A message with any 64-bit timestamp, as Kafka keeps it. For look-ups it lies at the end of all time."""

    stamp: int = 0

    @property
    def timestamp_ms(self) -> int:
        return self.stamp


def off_the_calendar(offset: int, stamp: int, value: bytes) -> OffTheCalendar:
    return OffTheCalendar(offset, datetime.max.replace(tzinfo=UTC), value, stamp)
