"""A real broker for tests: creates and fills topics, sets ACLs, makes transactions, and opens event logs."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Protocol

import polars as pl
from confluent_kafka import KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from game_analytics.landing.slices import MAX_BATCH, MAX_BATCH_BYTES
from game_analytics.local_stack.kafka_broker import PASSWORDS, Broker
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics_tests.support.samples import kill, utc

Sent = tuple[int, bytes | None, bytes | None, int]
"""A message to send: partition, key, value, timestamp in milliseconds since 1970 (above 0)."""


class NewTopicFactory(Protocol):
    """The type of the fixture ``new_topic``."""

    def __call__(self, partitions: int = 1, **config: str | int) -> str:
        """Create a topic and return its name. Dots in names of settings are written as underscores."""


def admin_of(broker: Broker) -> AdminClient:
    """A client that prints nothing when a test stops the broker."""
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})


def make_topic(admin: AdminClient, partitions: int = 1, *, name: str | None = None, **config: str | int) -> str:
    """Create a topic, with a unique name by default, and wait until every partition has a leader."""
    name = name or f"topic-{uuid.uuid4()}"
    settings = {setting.replace("_", "."): str(value) for setting, value in config.items()}
    admin.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result()
    end = time.monotonic() + 30
    while not _has_leaders(admin, name, partitions):
        assert time.monotonic() < end, f"{name} got no leaders within 30 s"
        time.sleep(0.02)
    return name


def _has_leaders(admin: AdminClient, topic: str, partitions: int) -> bool:
    found = admin.list_topics(topic, timeout=10).topics[topic].partitions
    return len(found) == partitions and all(partition.leader >= 0 for partition in found.values())


def credentials(user: str, password: str | None = None) -> dict[str, str]:
    """A client's properties for ``broker.sasl_bootstrap_servers``, with the user's correct password by default."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": PASSWORDS[user] if password is None else password,
    }


def forbid(admin: AdminClient, topic: str, user: str) -> None:
    """Deny the user to describe the topic."""
    _create_acl(admin, topic, user, AclOperation.ALL, AclPermissionType.DENY)


def forbid_to_read(admin: AdminClient, topic: str, user: str) -> None:
    """Allow the user to describe the topic, but not to read it."""
    # A topic with any ACL denies everything that no ACL allows.
    _create_acl(admin, topic, user, AclOperation.DESCRIBE, AclPermissionType.ALLOW)
    _create_acl(admin, topic, user, AclOperation.READ, AclPermissionType.DENY)


def _create_acl(
    admin: AdminClient, topic: str, user: str, operation: AclOperation, permission: AclPermissionType
) -> None:
    literally = ResourcePatternType.LITERAL
    rule = AclBinding(ResourceType.TOPIC, topic, literally, f"User:{user}", "*", operation, permission)
    admin.create_acls([rule])[rule].result()


def send(broker: Broker, topic: str, messages: Sequence[Sent]) -> list[int]:
    """Send messages exactly as given, and return their offsets, in order."""
    offsets: dict[int, int] = {}
    refused: list[KafkaError] = []

    def note(index: int, error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        if error is not None:
            refused.append(error)
        elif offset is not None:
            offsets[index] = offset

    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            # Keeps the order, as idempotence would, which takes half a second to start.
            "max.in.flight": 1,
            "queue.buffering.max.messages": 0,  # no limit
            "log_level": 0,
        }
    )
    for index, (partition, key, value, timestamp_ms) in enumerate(messages):
        assert timestamp_ms > 0, "librdkafka takes 0 for now"
        producer.produce(topic, value, key, partition, timestamp=timestamp_ms, on_delivery=partial(note, index))
        producer.poll(0)
    left = producer.flush(60)
    assert not refused, refused[0]
    assert left == 0, f"{left} messages were not delivered within 60 s"
    return [offsets[index] for index in range(len(messages))]


class Fate(Enum):
    """The end of a transaction."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@contextmanager
def send_in_transaction(broker: Broker, topic: str, messages: Sequence[Sent], fate: Fate) -> Iterator[None]:
    """Write the messages in a transaction that ends with the block and leaves a marker."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": str(uuid.uuid4()), "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition, key, value, timestamp_ms in messages:
        producer.produce(topic, value, key, partition, timestamp=timestamp_ms)
    assert producer.flush(30) == 0
    yield
    ends = _ends(broker, topic, {partition for partition, *_ in messages})
    if fate is Fate.COMMITTED:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)
    _wait_for_markers(broker, topic, ends)


def _wait_for_markers(broker: Broker, topic: str, ends: Mapping[int, int]) -> None:
    """Brokers write markers shortly after they report the end of a transaction."""
    deadline = time.monotonic() + 30
    while any(end <= ends[partition] for partition, end in _ends(broker, topic, ends).items()):
        assert time.monotonic() < deadline, f"{topic} got no markers within 30 s"
        time.sleep(0.02)


def _ends(broker: Broker, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The partitions' high watermarks."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    places = {TopicPartition(topic, partition): OffsetSpec.latest() for partition in partitions}
    return {place.partition: found.result().offset for place, found in admin.list_offsets(places).items()}


TWO_MINUTES = timedelta(minutes=2)


def log_on(
    broker: Broker, topic: str, properties: Mapping[str, str] | None = None, patience: timedelta = TWO_MINUTES
) -> KafkaEventLog:
    return KafkaEventLog(KafkaSettings(broker.bootstrap_servers, topic, properties or {}, patience))


def ms(moment: str | datetime) -> int:
    """``2025-12-30 12:00`` in milliseconds since 1970."""
    return round((utc(moment) if isinstance(moment, str) else moment).timestamp() * 1000)


def sent(partition: int, stamped: str, value: bytes | None = None, key: bytes | None = b"ann") -> Sent:
    """A message, by default a kill without ``ts``, whose time is the message's timestamp."""
    return partition, key, kill() if value is None else value, ms(stamped)


def read(
    log: KafkaEventLog,
    partition: int,
    first: int,
    end: int,
    max_messages: int = MAX_BATCH,
    max_bytes: int = MAX_BATCH_BYTES,
) -> list[pl.DataFrame]:
    """The batches that are not empty."""
    batches = log.read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)
    return [batch for batch in batches if batch.height]


def offsets(log: KafkaEventLog, partition: int, first: int, end: int) -> list[int]:
    return [offset for batch in read(log, partition, first, end) for offset in batch["kafka_offset"]]


def delete_before(admin: AdminClient, topic: str, partition: int, offset: int) -> None:
    """Delete messages as retention would, at once."""
    place = TopicPartition(topic, partition, offset)
    admin.delete_records([place])[place].result()


def compacted_topic(broker: Broker, new_topic: NewTopicFactory, *before: Sent) -> str:
    """Send forty messages with five keys in turn to one partition, and wait until the broker has compacted all but the
    newest segment, which holds the last message. Messages sent ``before`` with other keys are kept."""
    topic = new_topic(
        cleanup_policy="compact", min_cleanable_dirty_ratio="0.01", segment_ms=100, min_compaction_lag_ms=0
    )
    send(broker, topic, before)
    for number in range(40):
        send(broker, topic, [sent(0, f"2025-12-30 12:00:{number:02}", key=b"player %d" % (number % 5))])
    log = log_on(broker, topic)
    end = time.monotonic() + 60
    while len(offsets(log, 0, 0, len(before) + 40)) > len(before) + 6:
        assert time.monotonic() < end, "the broker did not compact the topic within a minute"
        time.sleep(0.1)
    return topic


def config_file(folder: Path, properties: dict[str, str]) -> str:
    path = folder / "kafka.properties"
    path.write_text("# who we are\n" + "".join(f"{name} = {value}\n" for name, value in properties.items()))
    return str(path)
