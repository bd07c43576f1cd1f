"""A topic as a producer sees it: whether it exists, what it would retain, and where it ends."""

import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.sources.event_log import Found
from game_analytics.sources.kafka.client import OPTIONS, KafkaSettings, NamedBy
from game_analytics.sources.kafka.errors import (
    NO_ANSWER,
    NOT_READY,
    PERMANENT,
    RecentErrors,
    error_of,
    reason,
    unreachable_advice,
)

# Settings with which a topic retains days of long ago; a cluster's defaults may differ.
_KEPT_FOREVER = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
    "retention.ms": "-1",
}

_MESSAGE_BYTES = 250  # in an uncompressed segment, rounded up

T = TypeVar("T")


class Topic:
    """Questions about the topic. Raises `Unavailable` when the cluster does not answer in time."""

    def __init__(self, settings: KafkaSettings, named_by: NamedBy = OPTIONS) -> None:
        self._settings = settings
        self._named_by = named_by
        self._seconds = settings.answers_within.total_seconds()
        self._recent_errors = RecentErrors()
        with settings.readable_refusals(named_by.file):
            self._admin = AdminClient(settings.client({}), error_cb=self._recent_errors)

    def partitions(self) -> int | None:
        """The number of partitions; None if there is no such topic."""
        name = self._settings.topic
        asked = self._admin.describe_topics(TopicCollection([name]), request_timeout=self._seconds)
        try:
            return len(asked[name].result().partitions)
        except KafkaException as failure:
            if error_of(failure).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise self._explained(failure) from failure

    def create(self, partitions: int) -> None:
        """Create the topic with the cluster's default number of replicas."""
        new = NewTopic(self._settings.topic, partitions, config=_KEPT_FOREVER)
        self._answer(self._admin.create_topics([new], request_timeout=self._seconds)[new.topic])

    def ensure_it_keeps(self, start: datetime, new_messages: int) -> None:
        """Raises `GameAnalyticsError` that names each setting with which the topic would lose messages stamped
        ``start`` or later, or their timestamps."""
        resource = ConfigResource(ResourceType.TOPIC, self._settings.topic)
        asked = self._admin.describe_configs([resource], request_timeout=self._seconds)
        has = {name: entry.value for name, entry in self._answer(asked[resource]).items()}
        mismatches = {}
        if has["cleanup.policy"] != "delete":
            mismatches["cleanup.policy"] = "keeps only the last message of each player"
        if has["message.timestamp.type"] != "CreateTime":
            mismatches["message.timestamp.type"] = "stamps all messages with today"
        age = datetime.now(UTC) - start
        if 0 <= int(has["retention.ms"]) < age // timedelta(milliseconds=1):
            hours = int(has["retention.ms"]) / 3_600_000
            mismatches["retention.ms"] = (
                f"keeps {hours:,.0f} hours, and the day began {age / timedelta(hours=1):,.0f} ago"
            )
        if 0 <= int(has["retention.bytes"]) < new_messages * _MESSAGE_BYTES:
            mismatches["retention.bytes"] = "keeps less than the day may take"
        if mismatches:
            faults = "; ".join(f"{name}={has[name]} {what}" for name, what in mismatches.items())
            command_settings = ",".join(f"{name}={_KEPT_FOREVER[name]}" for name in mismatches)
            raise GameAnalyticsError(
                f"The topic {self._settings.topic} would not keep the day: {faults}. Nothing was sent. Name a topic "
                "that is not there yet, with --create-topic; or, if this one is yours to change: kafka-configs.sh "
                f"--bootstrap-server {self._settings.bootstrap_servers} --alter --entity-type topics --entity-name "
                f"{self._settings.topic} --add-config {command_settings}"
            )

    def newest(self, partitions: int) -> dict[int, Found]:
        """The message with the latest timestamp of each partition that holds any. If that one was dropped and older
        ones are left, the last offset is returned with its timestamp: topics are written in order of time."""
        newest = self._offsets(partitions, OffsetSpec.max_timestamp())
        lows = self._offsets(partitions, OffsetSpec.earliest())
        ends = self.ends(partitions)
        return {
            partition: found
            if found.offset >= lows[partition].offset
            else Found(ends[partition] - 1, found.timestamp_ms)
            for partition, found in newest.items()
            if found.offset >= 0 and lows[partition].offset < ends[partition]
        }

    def ends(self, partitions: int) -> dict[int, int]:
        """The high watermark of each partition."""
        return {partition: found.offset for partition, found in self._offsets(partitions, OffsetSpec.latest()).items()}

    def _offsets(self, partitions: int, wanted: OffsetSpec) -> dict[int, Found]:
        places = {TopicPartition(self._settings.topic, partition): wanted for partition in range(partitions)}
        end = time.monotonic() + self._seconds
        while True:
            asked = self._admin.list_offsets(places, request_timeout=self._seconds)
            try:
                answers = {place.partition: future.result() for place, future in asked.items()}
                return {number: Found(answer.offset, answer.timestamp) for number, answer in sorted(answers.items())}
            except KafkaException as failure:
                if error_of(failure).code() not in NOT_READY or time.monotonic() > end:
                    raise self._explained(failure) from failure
            time.sleep(0.1)
            with suppress(KafkaException):  # otherwise the client keeps asking the former leader
                self._admin.list_topics(self._settings.topic, timeout=1)

    def _answer(self, future: Future[T]) -> T:
        try:
            return future.result()
        except KafkaException as failure:
            raise self._explained(failure) from failure

    def _explained(self, failure: KafkaException) -> GameAnalyticsError:
        error, names = error_of(failure), self._named_by
        if error.code() in NO_ANSWER:  # the background threads report the reason
            self._admin.poll(0)
            error = self._recent_errors.worst() or error
            if error.code() in PERMANENT:
                return GameAnalyticsError(
                    f"Kafka at {self._settings.bootstrap_servers} refuses access ({reason(error)}). Check what the "
                    f"file that {names.file} names says about SASL and TLS."
                )
        if error.code() in NO_ANSWER | NOT_READY:
            advice = unreachable_advice(error, self._settings.bootstrap_servers) or (
                f"Start it, or check {names.servers} and what the file that {names.file} names says about SASL and TLS."
            )
            return Unavailable(
                f"Kafka at {self._settings.bootstrap_servers} does not answer ({reason(error)}). {advice}"
            )
        return GameAnalyticsError(
            f"Kafka at {self._settings.bootstrap_servers}, topic {self._settings.topic}: {reason(error)}. Check "
            f"{names.topic}, what the file that {names.file} names says, and that its user may describe, write and, "
            "if asked, create the topic."
        )
