"""Faulty event logs, each a `ListedLog` with one difference: it grows, fails, violates the interface, waits, kills its
process, or has timestamps outside the calendar."""

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from game_analytics.sources.event_log import MESSAGES, EventLog, Extent, Found
from game_analytics_tests.support.listed_log import ListedLog, Message


def growing(messages: Sequence[Message]) -> tuple[ListedLog, Callable[[Message], None]]:
    """A log with one partition, to which messages can be added."""
    partition = list(messages)
    return ListedLog({0: partition}), partition.append


@dataclass
class GrowsWhileRead(ListedLog):
    """A log that grows by a message with each read. Counts the queries for extents."""

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
    """A log in which these messages arrive after the query for extents and before the first look-up."""

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
    """A log whose reading of this partition kills the run."""

    deadly: int = 1

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        if partition == self.deadly:
            raise Died
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


@dataclass
class DeliversTwice(ListedLog):
    """Violates the interface: delivers every batch twice."""

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        for batch in super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes):
            yield batch
            yield batch


@dataclass
class DeliversTooMuch(ListedLog):
    """Violates the interface: also delivers the message at ``end``."""

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        return super().read(partition, first, end + 1, max_messages=max_messages, max_bytes=max_bytes)


@dataclass
class OneByOne(ListedLog):
    """Delivers single-message batches, and records the requested bounds."""

    bounds: list[tuple[int, int]] = field(default_factory=list)

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        self.bounds.append((max_messages, max_bytes))
        return super().read(partition, first, end, max_messages=1, max_bytes=max_bytes)


@dataclass(frozen=True)
class Wide(EventLog):
    """One partition of generated messages of 900 kB each, all at noon of 2025-12-30: every other one is a kill, the
    others can't be read. At most ``at_once`` per batch."""

    messages: int
    at_once: int = 1_000

    topic = "wide"

    def extents(self) -> Mapping[int, Extent]:
        return {0: Extent(0, self.messages, self.messages)}

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        noon = datetime(2025, 12, 30, 12, tzinfo=UTC)
        return {0: Found(0, round(noon.timestamp() * 1000)) if instant <= noon else None}

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        assert partition == 0
        width = len(_wide_value(0))
        step = max(1, min(self.at_once, max_messages, max_bytes // width))
        for start in range(first, end, step):
            offsets = range(start, min(start + step, end))
            noon = pl.lit(datetime(2025, 12, 30, 12, tzinfo=UTC), MESSAGES["kafka_timestamp"])
            yield pl.DataFrame(
                {"kafka_offset": offsets, "value": [_wide_value(offset) for offset in offsets]},
                schema={"kafka_offset": pl.Int64, "value": pl.Binary},
            ).select("kafka_offset", noon.alias("kafka_timestamp"), "value")


def _wide_value(offset: int) -> bytes:
    opening = b"not json" if offset % 2 else b'{"event_type": "KILL", "player_id": "ann"}'
    return opening.ljust(900_000)


@dataclass(frozen=True)
class OffTheCalendar(Message):
    """A message with any 64-bit timestamp, as Kafka stores it. Look-ups treat it as the latest time."""

    stamp: int = 0

    @property
    def timestamp_ms(self) -> int:
        return self.stamp


def off_the_calendar(offset: int, stamp: int, value: bytes) -> OffTheCalendar:
    return OffTheCalendar(offset, datetime.max.replace(tzinfo=UTC), value, stamp)


@dataclass(kw_only=True)
class Watched(ListedLog):
    """Records each slice that is read as a line in ``folder``, in a file named after the reading process."""

    folder: Path

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        with (self.folder / str(os.getpid())).open("a") as file:
            file.write(f"{partition} {first} {end}\n")
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)

    def processes(self) -> set[int]:
        """The processes that have read so far."""
        return {int(file.name) for file in self.folder.iterdir()}

    def slices(self) -> list[tuple[int, ...]]:
        """Partition, first offset and end of each slice that was begun so far."""
        lines = [line for file in self.folder.iterdir() for line in file.read_text().splitlines()]
        return sorted(tuple(map(int, line.split())) for line in lines)


@dataclass(kw_only=True)
class Waits(Watched):
    """Delivers nothing but signs of life until the file ``go`` exists, or a minute has passed."""

    go: Path

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        batches = super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)
        deadline = time.monotonic() + 60
        while not self.go.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
            yield MESSAGES.to_frame()
        yield from batches


@dataclass(kw_only=True)
class Mute(Waits):
    """Blocks without signs of life."""

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        batches = super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)
        return (batch for batch in batches if batch.height)


@dataclass(kw_only=True)
class Fails(Waits):
    """Once ``processes_first`` processes read, the slice of partition 1 fails as configured; the others wait."""

    fault: "Fault"
    processes_first: int = 2

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        batches = super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)
        for batch in batches:
            if partition == 1 and len(self.processes()) == self.processes_first:
                self.fault.strike()
            yield batch


class Fault(ABC):
    """A failure in the middle of a slice."""

    @abstractmethod
    def strike(self) -> None:
        """Fail now."""


@dataclass(frozen=True)
class Signalled(Fault):
    """A signal to the process."""

    number: signal.Signals

    def strike(self) -> None:
        os.kill(os.getpid(), self.number)


@dataclass(frozen=True)
class Exits(Fault):
    """The process exits with a code."""

    code: int

    def strike(self) -> None:
        os._exit(self.code)


@dataclass(frozen=True)
class Raises(Fault):
    """An exception."""

    error: Exception

    def strike(self) -> None:
        raise self.error


class DividesByZero(Fault):
    """A bug."""

    def strike(self) -> None:
        _ = 1 // 0


@dataclass
class CannotArrive(ListedLog):
    """Unpickling this log fails."""

    def __reduce__(self) -> tuple[type["CannotArrive"], tuple[()]]:
        return CannotArrive, ()
