"""A Kafka topic as event log, on confluent-kafka: look-ups by time, and slices read by explicit offsets.

No consumer group is joined and no offset is committed. A log can be pickled; the other process creates its own clients.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TypeVar

import polars as pl
from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from game_analytics.errors import Unavailable
from game_analytics.rules.days import milliseconds_ceil
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import EventLog, Extent, Found, Reader
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.delivered import PEEKING, Known, Scan, first_delivered
from game_analytics.sources.kafka.errors import (
    UNKNOWN_TOPIC,
    RecentErrors,
    error_of,
)
from game_analytics.sources.kafka.properties import CONSUMER_DEFAULTS, READING
from game_analytics.sources.kafka.reader import KafkaReader, OffsetGone, offset_of

T = TypeVar("T")

_ASK_AGAIN_SECONDS = 0.1
_NO_ID = "A" * 22
"""The topic id that a broker before 2.8 answers, which knows none: sixteen zeros in base 64."""


class KafkaEventLog(EventLog):
    """A topic of a cluster. Look-ups use one reader; each call of `reader` creates another."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._recent_errors = RecentErrors()
        self._reader = KafkaReader(settings, self._recent_errors)
        """For look-ups; its client also answers questions about the topic."""
        self._known = Known()

    def __reduce__(self) -> tuple[type["KafkaEventLog"], tuple[KafkaSettings]]:
        """Only the settings: another process creates its own clients."""
        return KafkaEventLog, (self._settings,)

    @property
    def topic(self) -> str:
        return self._settings.topic

    @property
    def identity(self) -> LogIdentity:
        """With Kafka's ids of topic and cluster, fetched now: a topic that is deleted and created again while it is
        read gets another id."""

        def ask() -> LogIdentity:
            asked = self._admin.describe_topics(
                TopicCollection([self.topic]), request_timeout=self._settings.answers_within.total_seconds()
            )
            topic_id = str(asked[self.topic].result().topic_id)
            cluster_id = self._reader.consumer.list_topics(self.topic, timeout=1).cluster_id
            return LogIdentity(self.topic, None if topic_id == _NO_ID else topic_id, cluster_id or None)

        return self._retry(ask, passing=UNKNOWN_TOPIC)

    def ensure_readable(self) -> None:
        """Raises `GameAnalyticsError` if no broker answers within `answers_within`, refuses the credentials, or has no
        such topic for this user."""
        self._partitions(patiently=False)

    def extents(self) -> Mapping[int, Extent]:
        """Watermarks, fetched now from the partitions' leaders; ``stable`` is the last stable offset."""
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
        """For the partitions of the last `extents`, by the brokers' time index. Below the stable offset each answer is
        verified by reading, since the index also holds control records and aborted messages.

        (The consumer's `offsets_for_times` sends the same request, but drops the timestamp that was found.)
        """
        if not self._known.extents:
            self.extents()
        deadline = self._reader.patience_ends()
        while True:
            try:
                return self._first_stamped(milliseconds_ceil(instant))
            except OffsetGone:  # retention deleted it between the answer and the reading
                if time.monotonic() > deadline:
                    raise
                self.extents()

    @contextmanager
    def reader(self, on_request: Collection[str] = ()) -> Iterator[Reader]:
        """A reader with a consumer of its own, which is closed with the block."""
        reader = KafkaReader(self._settings, RecentErrors(), on_request)
        try:
            yield reader
        finally:
            reader.close()

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        """One range by a reader of its own."""
        with self.reader() as reader:
            yield from reader.read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)

    def _first_stamped(self, timestamp_ms: int) -> Mapping[int, Found | None]:
        answers = self._offsets(list(self._known.extents), OffsetSpec.for_timestamp(timestamp_ms))
        indexed = {
            partition: Found(answer.offset, answer.timestamp) if answer.offset >= 0 else None
            for partition, answer in answers.items()
        }
        starts = {
            partition: start
            for partition, found in indexed.items()
            if (start := self._start_of_search(partition, found, timestamp_ms)) is not None
        }
        firsts = self._first_delivered(starts)
        return {
            partition: self._from(partition, firsts[partition], timestamp_ms) if partition in firsts else found
            for partition, found in indexed.items()
        }

    def _start_of_search(self, partition: int, indexed: Found | None, timestamp_ms: int) -> int | None:
        """The offset from which the message has to be searched by reading; None where the index's answer suffices, or
        cannot be verified."""
        extent = self._known.extents[partition]
        if indexed is not None:
            return indexed.offset if indexed.offset < extent.stable else None
        return extent.low if extent.low > 0 and self._may_hold(partition, timestamp_ms) else None

    def _may_hold(self, partition: int, timestamp_ms: int) -> bool:
        """Whether a partition that has dropped messages may hold one of this timestamp or later although the index
        finds none: the broker searches only the first segment that ever held one, even if that message was dropped."""
        if not self._known.newest:
            answers = self._offsets(list(self._known.extents), OffsetSpec.max_timestamp())
            self._known.newest.update(
                {each: Found(answer.offset, answer.timestamp) for each, answer in answers.items()}
            )
        return self._known.newest[partition].timestamp_ms >= timestamp_ms

    def _first_delivered(self, offsets: Mapping[int, int]) -> dict[int, Found | None]:
        """By partition the first message at the offset or after it; None if none can be read yet."""
        known = self._known.firsts
        new = {partition: offset for partition, offset in offsets.items() if (partition, offset) not in known}
        if new:
            self._peek(new)
        return {partition: known[partition, offset] for partition, offset in offsets.items()}

    def _peek(self, offsets: Mapping[int, int]) -> None:
        left = dict(offsets)
        self._recent_errors.reset()
        deadline = self._reader.patience_ends()
        for firsts, errors in first_delivered(self._peeker, self.topic, offsets):
            for partition, error in errors.items():
                self._reader.ensure_it_may_pass(error, partition, offsets[partition])
            for partition, found in firsts.items():
                self._known.firsts[partition, left.pop(partition)] = found
            if firsts:
                deadline = self._reader.patience_ends()
            elif left:
                self._reader.keep_waiting(deadline, *next(iter(left.items())))

    def _from(self, partition: int, first: Found | None, timestamp_ms: int) -> Found | None:
        """The first message of this timestamp or later, from ``first`` on; all messages before it are older."""
        if first is None or first.timestamp_ms >= timestamp_ms:
            return first
        near = self._scan(partition, first.offset, timestamp_ms)
        if near is None or near.timestamp_ms >= timestamp_ms:
            return near
        stamped = (
            Found(offset_of(message), message.timestamp()[1])
            for messages in self._reader.deliveries(partition, near.offset, self._known.extents[partition].stable)
            for message in messages
        )
        return next((found for found in stamped if found.timestamp_ms >= timestamp_ms), None)

    def _scan(self, partition: int, first: int, timestamp_ms: int) -> Found | None:
        """The first message from offset ``first`` on that is stamped in the minute of the timestamp or later."""
        scan = self._known.scans.get(partition)
        if scan is None or not scan.covers(first):
            scan = self._known.scans[partition] = Scan(first, first)
        end = self._known.extents[partition].stable
        found = scan.first_since_minute_of(timestamp_ms)
        if found is None:
            for messages in self._reader.deliveries(partition, scan.position, end):
                scan.add(messages)
                found = scan.first_since_minute_of(timestamp_ms)
                if found is not None:
                    return found
            scan.position = max(scan.position, end)
        return found

    def _partitions(self, patiently: bool = True) -> list[int]:
        def ask() -> list[int]:
            found = self._reader.consumer.list_topics(self.topic, timeout=1).topics[self.topic]
            if found.error is not None:
                raise KafkaException(found.error)
            # The admin client caches the topic by itself: it must learn of new partitions, and once it is connected, a
            # look-up takes milliseconds instead of three seconds (librdkafka 2.16).
            self._admin.list_topics(self.topic, timeout=1)
            return sorted(found.partitions)

        return self._retry(ask, patiently=patiently)

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

        # The partitions exist, so a broker that does not know one has not learned of it yet.
        return self._retry(ask, passing=UNKNOWN_TOPIC)

    def _retry(self, ask: Callable[[], T], *, passing: Collection[int] = (), patiently: bool = True) -> T:
        """Ask until answered, unless the error is permanent: as long as a broker may be away if ``patiently``, else as
        long as an answer may take."""
        answers_within = self._settings.answers_within.total_seconds()
        end = self._reader.patience_ends() if patiently else time.monotonic() + answers_within
        while True:
            self._recent_errors.reset()
            try:
                return ask()
            except KafkaException as failure:
                refusal = error_of(failure)
            # These deliver the errors of the background threads to the callbacks.
            self._admin.poll(0)
            self._reader.poll()
            explained = self._reader.explained(self._recent_errors.worst() or refusal)
            will_pass = isinstance(explained, Unavailable) or refusal.code() in passing
            if not will_pass or time.monotonic() > end:
                raise Unavailable(str(explained), waited=True) if will_pass and patiently else explained
            time.sleep(_ASK_AGAIN_SECONDS)

    @cached_property
    def _peeker(self) -> Consumer:
        """A consumer with small fetches: one that is set up for landing fetches megabytes of each partition before it
        can be stopped (0.2 instead of 0.005 s a look-up)."""
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            properties = {**self._settings.client(CONSUMER_DEFAULTS), **READING, **PEEKING}
            return Consumer(properties, error_cb=self._recent_errors)

    @cached_property
    def _admin(self) -> AdminClient:
        with self._settings.readable_refusals("KAFKA_CONFIG_FILE"):
            return AdminClient(self._settings.client({}), error_cb=self._recent_errors)
