"""A topic as somebody who writes to it must know it: whether it is there, what it would keep, and where it ends."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.resources.event_log import Found
from game_analytics.resources.kafka_errors import NOT_READY, Grievances, error_of, reason
from game_analytics.resources.kafka_properties import refusal_of

# What a topic must be for days of long ago to stay in it; a cluster's own defaults may be others.
_KEPT_FOR_EVER = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "CreateTime",
    "retention.bytes": "-1",
    "retention.ms": "-1",
}

_CLIENT = {
    "client.id": "game-analytics",
    "log_level": "2",  # error callbacks tell what happens; librdkafka's own lines would only repeat it
    "reconnect.backoff.max.ms": "2000",
}

_MESSAGE_BYTES = 250  # what one takes in a segment that is not compressed, and rather more than less

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """Which topic of which cluster, and how it is reached."""

    bootstrap_servers: str
    topic: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of librdkafka. Passwords stand here: this is never shown."""
    answers_within: timedelta = timedelta(seconds=10)
    """How long the cluster may take to answer a question about the topic."""

    def __post_init__(self) -> None:
        """Refuse an empty name, which librdkafka would answer with an error of its own kind."""
        if not self.bootstrap_servers or not self.topic:
            raise GameAnalyticsError("--bootstrap-servers or --topic is empty. Name both.")

    def client(self, own: Mapping[str, str]) -> dict[str, str | int | float | bool]:
        """A client's properties: ours, unless the file says otherwise, on the cluster that the command line names."""
        return {**_CLIENT, **own, **self.properties, "bootstrap.servers": self.bootstrap_servers}


class Topic:
    """What the cluster tells about the topic. A question that is not answered in time ends with `Unavailable`."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._seconds = target.answers_within.total_seconds()
        self._grievances = Grievances()
        with faults_of(target):
            self._admin = AdminClient(target.client({}), error_cb=self._grievances)

    def partitions(self) -> int | None:
        """How many the topic has; None if there is no such topic."""
        name = self._target.topic
        asked = self._admin.describe_topics(TopicCollection([name]), request_timeout=self._seconds)
        try:
            return len(asked[name].result().partitions)
        except KafkaException as failure:
            if error_of(failure).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise self._explained(failure) from failure

    def create(self, partitions: int) -> None:
        """Make the topic, with as many copies as the cluster has by default."""
        new = NewTopic(self._target.topic, partitions, config=_KEPT_FOR_EVER)
        self._answer(self._admin.create_topics([new], request_timeout=self._seconds)[new.topic])

    def ensure_it_keeps(self, start: datetime, new_messages: int) -> None:
        """Raises `GameAnalyticsError` naming each setting by which the topic would lose messages stamped ``start`` or
        later, or their timestamps."""
        resource = ConfigResource(ResourceType.TOPIC, self._target.topic)
        asked = self._admin.describe_configs([resource], request_timeout=self._seconds)
        has = {name: entry.value for name, entry in self._answer(asked[resource]).items()}
        amiss = {}
        if has["cleanup.policy"] != "delete":
            amiss["cleanup.policy"] = "keeps only the last message of each player"
        if has["message.timestamp.type"] != "CreateTime":
            amiss["message.timestamp.type"] = "stamps all messages with today"
        age = datetime.now(UTC) - start
        if 0 <= int(has["retention.ms"]) < age // timedelta(milliseconds=1):
            hours = int(has["retention.ms"]) / 3_600_000
            amiss["retention.ms"] = f"keeps {hours:,.0f} hours, and the day began {age / timedelta(hours=1):,.0f} ago"
        if 0 <= int(has["retention.bytes"]) < new_messages * _MESSAGE_BYTES:
            amiss["retention.bytes"] = "keeps less than the day may take"
        if amiss:
            faults = "; ".join(f"{name}={has[name]} {what}" for name, what in amiss.items())
            mended = ",".join(f"{name}={_KEPT_FOR_EVER[name]}" for name in amiss)
            raise GameAnalyticsError(
                f"The topic {self._target.topic} would not keep the day: {faults}. Nothing was sent. Name a topic that "
                "is not there yet, with --create-topic; or, if this one is yours to change: kafka-configs.sh "
                f"--bootstrap-server {self._target.bootstrap_servers} --alter --entity-type topics --entity-name "
                f"{self._target.topic} --add-config {mended}"
            )

    def newest(self, partitions: int) -> dict[int, Found]:
        """The message with the latest timestamp of each partition that holds any."""
        answers = self._offsets(partitions, OffsetSpec.max_timestamp())
        return {partition: found for partition, found in answers.items() if found.offset >= 0}

    def ends(self, partitions: int) -> dict[int, int]:
        """The high watermark of each partition."""
        return {partition: found.offset for partition, found in self._offsets(partitions, OffsetSpec.latest()).items()}

    def _offsets(self, partitions: int, wanted: OffsetSpec) -> dict[int, Found]:
        places = {TopicPartition(self._target.topic, partition): wanted for partition in range(partitions)}
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

    def _answer(self, future: Future[T]) -> T:
        try:
            return future.result()
        except KafkaException as failure:
            raise self._explained(failure) from failure

    def _explained(self, failure: KafkaException) -> GameAnalyticsError:
        error = error_of(failure)
        if error.code() == KafkaError._TIMED_OUT:  # the reason is what the background threads complain about
            self._admin.poll(0)
            error = self._grievances.worst() or error
            return Unavailable(
                f"Kafka at {self._target.bootstrap_servers} does not answer ({reason(error)}). Start it, "
                "or check --bootstrap-servers and what --config-file says about SASL and TLS."
            )
        return refusal(self._target, error)


@contextmanager
def faults_of(target: Target) -> Iterator[None]:
    """What librdkafka says about the properties it is made with, as an error of ours."""
    try:
        yield
    except KafkaException as failure:
        raise GameAnalyticsError(
            f"Kafka's client can't be made: {refusal_of(failure, target.properties)}. Mend what --config-file names."
        ) from None


def refusal(target: Target, error: KafkaError) -> GameAnalyticsError:
    return GameAnalyticsError(
        f"Kafka at {target.bootstrap_servers}, topic {target.topic}: {reason(error)}. Check --topic, what "
        "--config-file says, and that its user may describe, write and, if asked, create the topic."
    )
