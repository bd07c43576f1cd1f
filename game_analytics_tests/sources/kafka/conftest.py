"""One real broker for the whole test run, with topics and messages to order. Without Java or Maven these tests skip."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
)

from game_analytics.local_stack.kafka_broker import Broker, Kafka, find_kafka
from game_analytics_tests.support.broker import NewTopicFactory, admin_of, make_topic
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.topics import Topic

_FOLDER = Path(__file__).parent


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


@pytest.fixture(scope="package")
def kafka() -> Kafka:
    """Java and the jars."""
    return required(find_kafka)


@pytest.fixture(scope="package")
def shared_broker(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that all tests share."""
    with Broker(kafka, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def broker(shared_broker: Broker) -> Broker:
    """That broker, running: a test that fails may leave it stopped, and would have all later ones fail."""
    if not shared_broker.is_running:
        shared_broker.stop()
        shared_broker.start()
    return shared_broker


@pytest.fixture(scope="package")
def admin(shared_broker: Broker) -> AdminClient:
    """May do all, on the listener without authentication."""
    return admin_of(shared_broker)


@pytest.fixture
def new_topic(broker: Broker, admin: AdminClient) -> NewTopicFactory:  # noqa: ARG001 - it must be running
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
