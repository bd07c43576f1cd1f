"""Reads ranges of a Kafka topic by explicit offsets, with a consumer that keeps its position between ranges.

No consumer group is joined and no offset is committed.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import polars as pl
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.sources.event_log import MESSAGES, ON_REQUEST, Reader
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.errors import DAMAGED, PERMANENT, RecentErrors, explain, unreachable_advice
from game_analytics.sources.kafka.properties import CONSUMER_DEFAULTS, READING

_HEARTBEAT_SECONDS = 1.0
_AT_ONCE = 200
"""Messages taken from librdkafka's queue in one call. More would leave the processor's cache before they are used
(50,000 at once: 1.0 instead of 0.4 CPU seconds a million)."""
_NO_TIMESTAMP = -1


class OffsetGone(GameAnalyticsError):
    """The log no longer holds an offset that should be read."""


class KafkaReader(Reader):
    """A consumer and its position. A range that continues the last one needs no seek. For one thread at a time."""

    def __init__(self, settings: KafkaSettings, recent_errors: RecentErrors, on_request: Collection[str] = ()) -> None:
        self._settings = settings
        self._topic = settings.topic
        self._recent_errors = recent_errors
        self._on_request = on_request
        self._position: tuple[int, int] | None = None
        """Partition and offset of the consumer, if known."""
        self._reading: object = None

    def close(self) -> None:
        """Close the consumer, if there is one."""
        if "consumer" in self.__dict__:
            self.consumer.close()

    def poll(self) -> None:
        """Let the consumer report errors of its background threads. It may drop a message by that."""
        self.consumer.poll(0)
        self._position = None

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """As in the interface; an empty batch for each second of waiting.

        The range ends by position: with a message at or after ``end``, or at the end of the partition, so that the
        last offsets need not hold messages. Raises `OffsetGone`, and `Unavailable` when the broker delivered nothing
        for as long as the settings allow.
        """
        batch = _Batch(max_messages, max_bytes, self._on_request)
        for messages in self.deliveries(partition, first, end):
            if not messages:
                yield batch.empty()
            yield from batch.add(messages)
        if batch:
            yield batch.take()

    def deliveries(self, partition: int, first: int, end: int) -> Iterator[list[Message]]:
        """The messages of the range as librdkafka delivers them; an empty list at least every second without any."""
        _ = self._leaders  # looked up now, while brokers answer, for later errors
        if self._position != (partition, first):
            self.consumer.assign([TopicPartition(self._topic, partition, first)])
        position, self._position = first, None
        reading = self._reading = object()
        self._recent_errors.reset()
        deadline = self.patience_ends()
        while position < end:
            # First without waiting: the queue bounds its bytes, while a second of waiting could collect far more.
            delivered = self.consumer.consume(min(_AT_ONCE, end - position), 0)
            delivered = delivered or self.consumer.consume(1, _HEARTBEAT_SECONDS)
            self._ensure_own(delivered, partition)
            messages, position = self._without_events(delivered, partition, position)
            if messages:
                deadline = self.patience_ends()
                self._recent_errors.reset()
            elif position < end:
                self.keep_waiting(deadline, partition, position)
            yield [message for message in messages if offset_of(message) < end] if position > end else messages
            if self._reading is not reading:
                raise RuntimeError(f"partition {partition}: one reader was used by two threads")
        if position == end:  # otherwise the consumer has passed the start of the next range
            self._position = (partition, end)

    def _ensure_own(self, delivered: list[Message], partition: int) -> None:
        """Raises if messages of another partition were delivered: they could be mistaken for gaps of this one."""
        strangers = {message.partition() for message in (*delivered[:1], *delivered[-1:])} - {partition}
        if any(number is not None and number >= 0 for number in strangers):
            raise GameAnalyticsError(
                f"Partition {partition} of {self._topic} was read, and the client delivered partitions {strangers}. "
                "Nothing was committed. Run again; if that fails too, report it as a bug."
            )

    def _without_events(self, delivered: list[Message], partition: int, position: int) -> tuple[list[Message], int]:
        """The messages without error events, and the position after them. Raises for permanent errors."""
        errors = [(message, error) for message in delivered if (error := message.error()) is not None]
        for message, error in errors:
            if error.code() == KafkaError._PARTITION_EOF:
                position = max(position, offset_of(message))
            else:
                self.ensure_it_may_pass(error, partition, position)
        messages = [message for message in delivered if message.error() is None] if errors else delivered
        if messages:
            position = max(position, offset_of(messages[-1]) + 1)
        return messages, position

    def ensure_it_may_pass(self, error: KafkaError, partition: int, position: int) -> None:
        """Raises if waiting does not help: `OffsetGone` if the offset was dropped."""
        where = (
            f"Kafka at {self._settings.bootstrap_servers}: {self._topic}, partition {partition}, offset {position} or "
            "one soon after it"
        )
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetGone(
                f"{where} is no longer there ({error.str()}). Run again: that run says what is left. Nothing "
                "was committed."
            )
        if error.code() in DAMAGED:
            raise GameAnalyticsError(
                f"{where} can't be read, it is damaged ({error.str()}). Fix the broker's files. Nothing was committed."
            )
        if error.code() in PERMANENT:
            raise self.explained(error)
        self._recent_errors(error)

    def patience_ends(self) -> float:
        return time.monotonic() + self._settings.patience.total_seconds()

    def keep_waiting(self, deadline: float, partition: int, position: int) -> None:
        """Raises `GameAnalyticsError` for a permanent error, `Unavailable` if nothing came until the deadline."""
        error = self._recent_errors.worst()
        if error is not None and error.code() in PERMANENT:
            raise self.explained(error)
        if time.monotonic() > deadline:
            last = "no error was reported" if error is None else f"last error: {error.str()}"
            advice = None if error is None else unreachable_advice(error, self._settings.bootstrap_servers)
            advice = advice or f"Check whether {self._leaders.get(partition, 'its leader')} is up, then run again."
            raise Unavailable(
                f"Kafka at {self._settings.bootstrap_servers} has delivered nothing of {self._topic}, partition "
                f"{partition}, from offset {position} on for {self._settings.patience.total_seconds():.0f} s ({last}). "
                f"Nothing was committed. {advice}",
                waited=True,
            )

    def explained(self, error: KafkaError) -> GameAnalyticsError:
        return explain(error, self._settings.bootstrap_servers, self._topic)

    @cached_property
    def _leaders(self) -> Mapping[int, str]:
        """The leader of each partition, as far as the client knows it."""
        try:
            known = self.consumer.list_topics(self._topic, timeout=1)
        except KafkaException:
            return {}
        brokers = {
            number: f"broker {number} at {broker.host}:{broker.port}" for number, broker in known.brokers.items()
        }
        partitions = known.topics[self._topic].partitions
        return {number: brokers.get(found.leader, "its leader") for number, found in partitions.items()}

    @cached_property
    def consumer(self) -> Consumer:
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            return Consumer({**self._settings.client(CONSUMER_DEFAULTS), **READING}, error_cb=self._recent_errors)


class _Batch:
    """Collects messages until a batch is full. Batches are cut at the same offsets, however messages are delivered."""

    def __init__(self, max_messages: int, max_bytes: int, on_request: Collection[str] = ()) -> None:
        self._on_request = on_request
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._clear()

    def _clear(self) -> None:
        self._offsets: list[int] = []
        self._timestamps: list[int] = []
        self._values: list[bytes | None] = []
        self._extras: dict[str, list[Any]] = {name: [] for name in self._on_request}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def add(self, messages: list[Message]) -> Iterator[pl.DataFrame]:
        """Add messages; yields each batch as soon as the next message does not fit into it."""
        while messages:
            taken = self._that_fit(messages)
            if taken:
                self._offsets += _offsets(taken)
                self._timestamps += [timestamp for _, timestamp in map(Message.timestamp, taken)]
                self._values += map(Message.value, taken)
                for name in self._on_request:
                    self._extras[name] += map(_EXTRAS[name], taken)
            else:
                yield self.take()
            messages = messages[len(taken) :]

    def take(self) -> pl.DataFrame:
        """The collected messages as one batch; a new one begins."""
        timestamp = pl.Series(self._timestamps, dtype=pl.Int64)
        batch = pl.DataFrame(
            {
                "kafka_offset": pl.Series(self._offsets, dtype=pl.Int64),
                "kafka_timestamp": timestamp.replace(_NO_TIMESTAMP, None).cast(MESSAGES["kafka_timestamp"]),
                "value": pl.Series(self._values, dtype=pl.Binary),
                **{name: _column(name, values) for name, values in self._extras.items()},
            }
        )
        self._clear()
        return batch

    def empty(self) -> pl.DataFrame:
        """No messages, with the columns of a batch."""
        return pl.Schema({**MESSAGES, **{name: ON_REQUEST[name] for name in self._on_request}}).to_frame()

    def _that_fit(self, messages: list[Message]) -> list[Message]:
        """The first of these messages that fit into the batch: at least one if it is empty."""
        taken = messages[: self._max_messages - len(self)]
        size = sum(map(len, taken))
        while self._bytes + size > self._max_bytes and len(self) + len(taken) > 1:
            size -= len(taken.pop())
        self._bytes += size
        return taken


_EXTRAS: Mapping[str, Callable[[Message], Any]] = {"key": Message.key, "headers": Message.headers}


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    """A column of `ON_REQUEST`, from what `_EXTRAS` gives for each message."""
    return _header_column(values) if name == "headers" else pl.Series(values, dtype=ON_REQUEST[name])


def _header_column(messages: Sequence[Sequence[tuple[str, bytes | None]] | None]) -> pl.Series:
    """The column ``headers``. Made from one column each of names and values: from lists of pairs it would take fifty
    CPU seconds a million messages."""
    present = [(row, headers) for row, headers in enumerate(messages) if headers is not None]
    if not present:
        return pl.Series([None], dtype=ON_REQUEST["headers"]).new_from_index(0, len(messages))
    flat = pl.DataFrame(
        {
            "row": pl.Series([row for row, headers in present for _ in headers], dtype=pl.UInt32),
            "name": pl.Series([name for _, headers in present for name, _ in headers], dtype=pl.String),
            "value": pl.Series([value for _, headers in present for _, value in headers], dtype=pl.Binary),
        }
    )
    lists = flat.group_by("row", maintain_order=True).agg(headers=pl.struct("name", "value"))
    is_there = pl.Series("is_there", [headers is not None for headers in messages])
    rows = is_there.to_frame().with_row_index("row").join(lists, on="row", how="left", maintain_order="left")
    # The list of a message may be there and empty.
    filled = rows.select(pl.when("is_there").then(pl.col("headers").fill_null([])))
    return filled.to_series().cast(ON_REQUEST["headers"])


def _offsets(messages: list[Message]) -> Sequence[int]:
    """Offsets are nearly always consecutive: then the first and the last one suffice."""
    first, last = offset_of(messages[0]), offset_of(messages[-1])
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return [offset_of(message) for message in messages]


def offset_of(message: Message) -> int:
    offset = message.offset()
    assert offset is not None  # noqa: S101 - only a message that was never sent has none
    return offset
