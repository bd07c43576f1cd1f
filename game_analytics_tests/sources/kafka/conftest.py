"""One real broker for the whole test run, with topics and messages to order. Without Java or Maven these tests skip."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from game_analytics.local_stack.kafka_broker import PASSWORDS, Broker, Kafka, find_kafka
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.topics import Topic

_FOLDER = Path(__file__).parent

Sent = tuple[int, bytes | None, bytes | None, int]
"""A message to send: partition, key, value, timestamp in milliseconds since 1970 (above 0)."""


class NewTopicFactory(Protocol):
    """What the fixture ``new_topic`` gives."""

    def __call__(self, partitions: int = 1, **config: str | int) -> str:
        """Make a topic and return its name; dots in a setting's name are underscores here."""


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These are against a real server. And let a test's time limit be for the test itself, not for its fixtures.

    Whichever comes first would else pay for fetching the jars, which may take minutes on a new machine and has a limit
    of its own, as has the broker's start.
    """
    for item in items:
        if _FOLDER in item.path.parents:
            item.add_marker(pytest.mark.real)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(scope="session")
def kafka() -> Kafka:
    """Java and the jars."""
    return required(find_kafka)


@pytest.fixture(scope="session")
def broker(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that all tests share; who stops it starts it again."""
    with Broker(kafka, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def admin(broker: Broker) -> AdminClient:
    """May do all, on the listener that asks nobody who he is."""
    return admin_of(broker)


@pytest.fixture
def new_topic(admin: AdminClient) -> NewTopicFactory:
    """Makes topics with names of their own: ``new_topic(2, cleanup_policy="compact")``."""
    return partial(make_topic, admin)


@pytest.fixture
def topic_of(broker: Broker, new_topic: NewTopicFactory) -> Callable[..., Topic]:
    """Makes a topic: partitions, and settings."""

    def make(partitions: int = 2, **config: str | int) -> Topic:
        return Topic(broker, new_topic(partitions, **{"retention_ms": -1, **config}))

    return make


@pytest.fixture
def unmade(broker: Broker, new_topic: NewTopicFactory) -> Topic:
    """A topic that nobody has made yet."""
    return Topic(broker, f"unmade-{new_topic()}")


def admin_of(broker: Broker) -> AdminClient:
    """One that says nothing on the terminal when a test stops the broker."""
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})


def make_topic(admin: AdminClient, partitions: int = 1, *, name: str | None = None, **config: str | int) -> str:
    """Returns once every partition has a leader. Unless told it has a name of its own."""
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
    """A client's properties for ``broker.sasl_bootstrap_servers``, with the user's true password unless told."""
    return {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": user,
        "sasl.password": PASSWORDS[user] if password is None else password,
    }


def forbid(admin: AdminClient, topic: str, user: str) -> None:
    """From now on the topic is hidden from the user."""
    _create_acl(admin, topic, user, AclOperation.ALL, AclPermissionType.DENY)


def forbid_to_read(admin: AdminClient, topic: str, user: str) -> None:
    """From now on the user sees the topic and its partitions, but may not fetch from it."""
    # A topic with any rule is closed to all that no rule allows.
    _create_acl(admin, topic, user, AclOperation.DESCRIBE, AclPermissionType.ALLOW)
    _create_acl(admin, topic, user, AclOperation.READ, AclPermissionType.DENY)


def _create_acl(
    admin: AdminClient, topic: str, user: str, operation: AclOperation, permission: AclPermissionType
) -> None:
    literally = ResourcePatternType.LITERAL
    rule = AclBinding(ResourceType.TOPIC, topic, literally, f"User:{user}", "*", operation, permission)
    admin.create_acls([rule])[rule].result()


def send(broker: Broker, topic: str, messages: Sequence[Sent]) -> list[int]:
    """Send messages exactly as they are told, and return the offset that each one got, in their order."""
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
            # Keeps their order, as idempotence would, which takes half a second to begin.
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
