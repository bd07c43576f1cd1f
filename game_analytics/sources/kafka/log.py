"""The event log that is a Kafka topic, on confluent-kafka: look-ups by time, and slices read by explicit offsets.

No consumer group is joined and nothing is committed. A log can be sent to another process; clients are made there.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import polars as pl
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.rules.days import milliseconds_ceil
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import MESSAGES, EventLog, Extent, Found
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.delivered import PEEKING, Known, Scan, first_delivered
from game_analytics.sources.kafka.errors import (
    DAMAGED,
    PERMANENT,
    UNKNOWN_TOPIC,
    Grievances,
    error_of,
    explain,
    unreachable_advice,
)
from game_analytics.sources.kafka.properties import CONSUMER_DEFAULTS, READING

T = TypeVar("T")

_ASK_AGAIN_SECONDS = 0.1
_HEARTBEAT_SECONDS = 1.0
_AT_ONCE = 200
"""Messages taken from librdkafka's queue in one call. More cost more: they fall out of the processor's cache before
they are looked at (50,000 at once: 1.0 instead of 0.4 CPU seconds a million)."""
_NO_TIMESTAMP = -1
_NO_ID = "A" * 22
"""What a broker that knows no topic ids, one before 2.8, tells as such: sixteen zeros in base 64."""


class OffsetGone(GameAnalyticsError):
    """The log no longer holds an offset that was to be read."""


class KafkaEventLog(EventLog):
    """A topic of a cluster, and a consumer that stays where it is from slice to slice."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._grievances = Grievances()
        self._position: tuple[int, int] | None = None
        """Where the consumer stands, if that is known: partition and offset."""
        self._reader: object = None
        self._known = Known()

    def __reduce__(self) -> tuple[type["KafkaEventLog"], tuple[KafkaSettings]]:
        """Settings alone: another process makes its own clients."""
        return KafkaEventLog, (self._settings,)

    @property
    def topic(self) -> str:
        return self._settings.topic

    @property
    def identity(self) -> LogIdentity:
        """With Kafka's ids of topic and cluster, asked for now. A topic that is deleted and made again while it is
        read has another one afterwards."""

        def ask() -> LogIdentity:
            asked = self._admin.describe_topics(
                TopicCollection([self.topic]), request_timeout=self._settings.answers_within.total_seconds()
            )
            topic_id = str(asked[self.topic].result().topic_id)
            cluster_id = self._consumer.list_topics(self.topic, timeout=1).cluster_id
            return LogIdentity(self.topic, None if topic_id == _NO_ID else topic_id, cluster_id or None)

        return self._insist(ask, passing=UNKNOWN_TOPIC)

    def ensure_readable(self) -> None:
        """Raises `GameAnalyticsError` if no broker answers in the time that the settings give it, credentials are
        refused, or there is no such topic for this user."""
        self._partitions(patiently=False)

    def extents(self) -> Mapping[int, Extent]:
        """Watermarks, asked of the partitions' leaders now; ``stable`` is the last stable offset."""
        partitions = self._partitions()
        low = self._offsets(partitions, OffsetSpec.earliest())
        high = self._offsets(partitions, OffsetSpec.latest())
        stable = self._offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        extents = {
            partition: Extent(low[partition].offset, high[partition].offset, stable[partition].offset)
            for partition in partitions
        }
        self._known = self._known.renewed(extents)
        return extents

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        """Of the partitions that `extents` told last, by the brokers' time index. Below the stable offset its answers
        are not taken on trust: it also knows control records, which brokers stamp, and messages that were aborted.

        (The consumer's `offsets_for_times` asks the same, but drops the timestamp that was found.)
        """
        if not self._known.extents:
            self.extents()
        deadline = self._patience_ends()
        while True:
            try:
                return self._first_stamped(milliseconds_ceil(instant))
            except OffsetGone:  # retention came between the question and the look at what was found
                if time.monotonic() > deadline:
                    raise
                self.extents()

    def _first_stamped(self, timestamp_ms: int) -> Mapping[int, Found | None]:
        answers = self._offsets(list(self._known.extents), OffsetSpec.for_timestamp(timestamp_ms))
        told = {
            partition: Found(answer.offset, answer.timestamp) if answer.offset >= 0 else None
            for partition, answer in answers.items()
        }
        starts = {
            partition: start
            for partition, found in told.items()
            if (start := self._start_of_search(partition, found, timestamp_ms)) is not None
        }
        firsts = self._first_delivered(starts)
        return {
            partition: self._from(partition, firsts[partition], timestamp_ms) if partition in firsts else found
            for partition, found in told.items()
        }

    def _start_of_search(self, partition: int, told: Found | None, timestamp_ms: int) -> int | None:
        """The offset from which on the look-up's message is to be found by reading; None where the broker's word is
        all that can be had, or is enough."""
        extent = self._known.extents[partition]
        if told is not None:
            return told.offset if told.offset < extent.stable else None
        return extent.low if extent.low > 0 and self._may_hold(partition, timestamp_ms) else None

    def _may_hold(self, partition: int, timestamp_ms: int) -> bool:
        """Whether a partition that has dropped messages may hold one of this timestamp or later although its index
        says no: it looks into one file alone, the first that ever held such a message, even if that one was dropped."""
        if not self._known.newest:
            answers = self._offsets(list(self._known.extents), OffsetSpec.max_timestamp())
            self._known.newest.update({each: Found(told.offset, told.timestamp) for each, told in answers.items()})
        return self._known.newest[partition].timestamp_ms >= timestamp_ms

    def _first_delivered(self, offsets: Mapping[int, int]) -> dict[int, Found | None]:
        """By partition the first message at the offset or behind it; None if there is none that can be read yet."""
        known = self._known.firsts
        new = {partition: offset for partition, offset in offsets.items() if (partition, offset) not in known}
        if new:
            self._peek(new)
        return {partition: known[partition, offset] for partition, offset in offsets.items()}

    def _peek(self, offsets: Mapping[int, int]) -> None:
        left = dict(offsets)
        self._grievances.forget()
        deadline = self._patience_ends()
        for firsts, errors in first_delivered(self._peeker, self.topic, offsets):
            for partition, error in errors.items():
                self._ensure_it_may_pass(error, partition, offsets[partition])
            for partition, found in firsts.items():
                self._known.firsts[partition, left.pop(partition)] = found
            if firsts:
                deadline = self._patience_ends()
            elif left:
                self._keep_waiting(deadline, *next(iter(left.items())))

    def _from(self, partition: int, first: Found | None, timestamp_ms: int) -> Found | None:
        """The message of this timestamp or later among ``first`` and those behind it, all those before being older."""
        if first is None or first.timestamp_ms >= timestamp_ms:
            return first
        near = self._scan(partition, first.offset, timestamp_ms)
        if near is None or near.timestamp_ms >= timestamp_ms:
            return near
        stamped = (
            Found(_offset(message), message.timestamp()[1])
            for messages in self._deliveries(partition, near.offset, self._known.extents[partition].stable)
            for message in messages
        )
        return next((found for found in stamped if found.timestamp_ms >= timestamp_ms), None)

    def _scan(self, partition: int, first: int, timestamp_ms: int) -> Found | None:
        """The first message from offset ``first`` on that is stamped in the timestamp's minute or later."""
        scan = self._known.scans.get(partition)
        if scan is None or not scan.covers(first):
            scan = self._known.scans[partition] = Scan(first, first)
        end = self._known.extents[partition].stable
        found = scan.first_since_minute_of(timestamp_ms)
        if found is None:
            for messages in self._deliveries(partition, scan.position, end):
                scan.add(messages)
                found = scan.first_since_minute_of(timestamp_ms)
                if found is not None:
                    return found
            scan.position = max(scan.position, end)
        return found

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """The messages as the interface says; an empty batch for each second of waiting.

        The end is reached by position: by a message at or after ``end``, or by the end of the partition. So it makes no
        difference whether the last offsets hold messages. Raises `GameAnalyticsError` if an offset is gone, and when
        the broker delivered nothing for as long as the settings allow.
        """
        batch = _Batch(max_messages, max_bytes)
        for messages in self._deliveries(partition, first, end):
            if not messages:
                yield MESSAGES.to_frame()
            yield from batch.add(messages)
        if batch:
            yield batch.take()

    def _deliveries(self, partition: int, first: int, end: int) -> Iterator[list[Message]]:
        """The messages of the range as librdkafka hands them out; an empty list at least for each second without."""
        _ = self._leaders  # while they answer
        if self._position != (partition, first):
            self._consumer.assign([TopicPartition(self.topic, partition, first)])
        position, self._position = first, None
        reader = self._reader = object()
        self._grievances.forget()
        deadline = self._patience_ends()
        while position < end:
            # What is there at once, since that is bounded by the queue's bytes, and not what a second may bring.
            delivered = self._consumer.consume(min(_AT_ONCE, end - position), 0)
            delivered = delivered or self._consumer.consume(1, _HEARTBEAT_SECONDS)
            self._ensure_own(delivered, partition)
            messages, position = self._without_events(delivered, partition, position)
            if messages:
                deadline = self._patience_ends()
                self._grievances.forget()
            elif position < end:
                self._keep_waiting(deadline, partition, position)
            yield [message for message in messages if _offset(message) < end] if position > end else messages
            if self._reader is not reader:
                raise RuntimeError(f"partition {partition}: the log was read by two at once")
        if position == end:  # else the consumer has gone past what comes next
            self._position = (partition, end)

    def _ensure_own(self, delivered: list[Message], partition: int) -> None:
        """Raises if what was delivered is of another partition: its offsets could pass for gaps of this one."""
        strangers = {message.partition() for message in (*delivered[:1], *delivered[-1:])} - {partition}
        if any(number is not None and number >= 0 for number in strangers):
            raise GameAnalyticsError(
                f"Partition {partition} of {self.topic} was read, and the client delivered partitions {strangers}. "
                "Nothing was committed. Run again; if it stays so, report it."
            )

    def _without_events(self, delivered: list[Message], partition: int, position: int) -> tuple[list[Message], int]:
        """The messages among what was delivered, and the offset that is reached with them.

        Raises what waiting does not mend.
        """
        errors = [(message, error) for message in delivered if (error := message.error()) is not None]
        for message, error in errors:
            if error.code() == KafkaError._PARTITION_EOF:
                position = max(position, _offset(message))
            else:
                self._ensure_it_may_pass(error, partition, position)
        messages = [message for message in delivered if message.error() is None] if errors else delivered
        if messages:
            position = max(position, _offset(messages[-1]) + 1)
        return messages, position

    def _ensure_it_may_pass(self, error: KafkaError, partition: int, position: int) -> None:
        """Raises if waiting does not help: `OffsetGone` where the offset was dropped."""
        where = (
            f"Kafka at {self._settings.bootstrap_servers}: {self.topic}, partition {partition}, offset {position} or "
            "one soon after it"
        )
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise OffsetGone(
                f"{where} is no longer there ({error.str()}). Run again; that tells what is left. Nothing was "
                "committed."
            )
        if error.code() in DAMAGED:
            raise GameAnalyticsError(
                f"{where} can't be read, it is damaged ({error.str()}). Mend the broker's files. Nothing was committed."
            )
        if error.code() in PERMANENT:
            raise self._explained(error)
        self._grievances(error)

    def _patience_ends(self) -> float:
        return time.monotonic() + self._settings.patience.total_seconds()

    def _keep_waiting(self, deadline: float, partition: int, position: int) -> None:
        """Raises if waiting is in vain, or has been for too long."""
        told = self._grievances.worst()
        if told is not None and told.code() in PERMANENT:
            raise self._explained(told)
        if time.monotonic() > deadline:
            last = "the broker says nothing" if told is None else f"last heard: {told.str()}"
            advice = None if told is None else unreachable_advice(told, self._settings.bootstrap_servers)
            advice = advice or f"Look whether {self._leaders.get(partition, 'its leader')} is up, then run again."
            raise Unavailable(
                f"Kafka at {self._settings.bootstrap_servers} has delivered nothing of {self.topic}, partition "
                f"{partition}, from offset {position} on for {self._settings.patience.total_seconds():.0f} s ({last}). "
                f"Nothing was committed. {advice}",
                waited=True,
            )

    def _partitions(self, patiently: bool = True) -> list[int]:
        def ask() -> list[int]:
            found = self._consumer.list_topics(self.topic, timeout=1).topics[self.topic]
            if found.error is not None:
                raise KafkaException(found.error)
            # The other client keeps its own view of the topic: it must know of a partition that was added, and once it
            # is connected, a look-up takes it milliseconds and not three seconds (librdkafka 2.16).
            self._admin.list_topics(self.topic, timeout=1)
            return sorted(found.partitions)

        return self._insist(ask, patiently=patiently)

    def _offsets(
        self,
        partitions: list[int],
        spec: OffsetSpec,
        isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[int, ListOffsetsResultInfo]:
        def ask() -> dict[int, ListOffsetsResultInfo]:
            wanted = {TopicPartition(self.topic, partition): spec for partition in partitions}
            answers = self._admin.list_offsets(
                wanted, isolation_level=isolation, request_timeout=self._settings.answers_within.total_seconds()
            )
            return {place.partition: answer.result() for place, answer in answers.items()}

        # The partitions are there, so a broker that does not know one has not heard of it yet.
        return self._insist(ask, passing=UNKNOWN_TOPIC)

    def _insist(self, ask: Callable[[], T], *, passing: Collection[int] = (), patiently: bool = True) -> T:
        """The answer, asked for again and again unless what stands in the way will not pass: for as long as a broker
        may be away, or for as long as an answer may take."""
        answers_within = self._settings.answers_within.total_seconds()
        end = self._patience_ends() if patiently else time.monotonic() + answers_within
        while True:
            self._grievances.forget()
            try:
                return ask()
            except KafkaException as failure:
                refusal = error_of(failure)
            # These hand over what the background threads complain about; the consumer at times a message.
            self._admin.poll(0)
            self._consumer.poll(0)
            self._position = None
            explained = self._explained(self._grievances.worst() or refusal)
            will_pass = isinstance(explained, Unavailable) or refusal.code() in passing
            if not will_pass or time.monotonic() > end:
                raise Unavailable(str(explained), waited=True) if will_pass and patiently else explained
            time.sleep(_ASK_AGAIN_SECONDS)

    def _explained(self, error: KafkaError) -> GameAnalyticsError:
        return explain(error, self._settings.bootstrap_servers, self.topic)

    @cached_property
    def _leaders(self) -> Mapping[int, str]:
        """Who serves each partition, as far as the client still knows."""
        try:
            known = self._consumer.list_topics(self.topic, timeout=1)
        except KafkaException:
            return {}
        brokers = {
            number: f"broker {number} at {broker.host}:{broker.port}" for number, broker in known.brokers.items()
        }
        partitions = known.topics[self.topic].partitions
        return {number: brokers.get(found.leader, "its leader") for number, found in partitions.items()}

    @cached_property
    def _consumer(self) -> Consumer:
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            return Consumer({**self._settings.client(CONSUMER_DEFAULTS), **READING}, error_cb=self._grievances)

    @cached_property
    def _peeker(self) -> Consumer:
        """Reads as the other consumer does, but only a little: one that fetches for a landing takes megabytes of each
        partition before it can be told to stop (0.2 instead of 0.005 s a look-up)."""
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            properties = {**self._settings.client(CONSUMER_DEFAULTS), **READING, **PEEKING}
            return Consumer(properties, error_cb=self._grievances)

    @cached_property
    def _admin(self) -> AdminClient:
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            return AdminClient(self._settings.client({}), error_cb=self._grievances)


class _Batch:
    """Messages gathered until there are enough, cut at the same places however they were delivered."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._begin()

    def _begin(self) -> None:
        self._offsets: list[int] = []
        self._timestamps: list[int] = []
        self._values: list[bytes | None] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def add(self, messages: list[Message]) -> Iterator[pl.DataFrame]:
        """Take in messages, and give out each batch that is full before the next message."""
        while messages:
            taken = self._that_fit(messages)
            if taken:
                self._offsets += _offsets(taken)
                self._timestamps += [timestamp for _, timestamp in map(Message.timestamp, taken)]
                self._values += map(Message.value, taken)
            else:
                yield self.take()
            messages = messages[len(taken) :]

    def take(self) -> pl.DataFrame:
        """The messages gathered so far, which begin anew."""
        timestamp = pl.Series(self._timestamps, dtype=pl.Int64)
        batch = pl.DataFrame(
            {
                "kafka_offset": pl.Series(self._offsets, dtype=pl.Int64),
                "kafka_timestamp": timestamp.replace(_NO_TIMESTAMP, None).cast(MESSAGES["kafka_timestamp"]),
                "value": pl.Series(self._values, dtype=pl.Binary),
            }
        )
        self._begin()
        return batch

    def _that_fit(self, messages: list[Message]) -> list[Message]:
        """Of the messages the first ones that this batch can hold: at least one if it is empty."""
        taken = messages[: self._max_messages - len(self)]
        size = sum(map(len, taken))
        while self._bytes + size > self._max_bytes and len(self) + len(taken) > 1:
            size -= len(taken.pop())
        self._bytes += size
        return taken


def _offsets(messages: list[Message]) -> Sequence[int]:
    """Nearly always neighbours, and then it is enough to ask the first and the last one."""
    first, last = _offset(messages[0]), _offset(messages[-1])
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return [_offset(message) for message in messages]


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None  # noqa: S101 - only a message made by hand has none
    return offset
