"""`game-analytics prepare` on a real broker: the topic, new or known, and what stands in the way of it."""

import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics_tests.support.broker import NewTopicFactory, config_file, credentials
from game_analytics_tests.support.preparing import lake_settings, prepared
from game_analytics_tests.support.processes import eventually


@pytest.fixture
def settings(s3: S3Endpoint, broker: Broker) -> dict[str, str]:
    """Of a bucket that is there, and a topic that is not."""
    return {
        **lake_settings(s3, "shared"),
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_TOPIC": f"topic-{uuid.uuid4()}",
    }


def last_line(settings: dict[str, str], partitions: int = 4, wait_seconds: int = 0) -> str:
    return prepared(settings, partitions=partitions, wait_seconds=wait_seconds)[-1]


def test_a_missing_topic_is_made_with_the_partitions_asked_for_and_keeps_its_messages(
    settings: dict[str, str], broker: Broker, admin: AdminClient
) -> None:
    name = settings["KAFKA_TOPIC"]
    line = last_line(settings, partitions=3)
    assert line == f"Made the topic {name} at {broker.bootstrap_servers}, 3 partitions, kept for ever"
    # A broker may not have learned of the topic when its creation is confirmed.
    eventually(lambda: len(admin.list_topics(name, timeout=10).topics[name].partitions) == 3, "it has 3 partitions")
    resource = ConfigResource(ResourceType.TOPIC, name)
    assert admin.describe_configs([resource])[resource].result()["retention.ms"].value == "-1"


def test_a_topic_that_is_there_is_found_as_it_is(
    settings: dict[str, str], broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    name = new_topic(2, retention_ms=1000)
    line = last_line(settings | {"KAFKA_TOPIC": name}, partitions=3)
    assert line == f"Found the topic {name} at {broker.bootstrap_servers}, 2 partitions"
    resource = ConfigResource(ResourceType.TOPIC, name)
    assert admin.describe_configs([resource])[resource].result()["retention.ms"].value == "1000"


def test_a_wrong_password_is_told_without_waiting_and_without_the_password(
    settings: dict[str, str], broker: Broker, tmp_path: Path
) -> None:
    file = config_file(tmp_path, credentials("reader", "guessed"))
    wrong = settings | {"KAFKA_BOOTSTRAP_SERVERS": broker.sasl_bootstrap_servers, "KAFKA_CONFIG_FILE": file}
    started = time.monotonic()
    with pytest.raises(GameAnalyticsError, match=r"refuses access \(_AUTHENTICATION: .*KAFKA_CONFIG_FILE") as told:
        last_line(wrong, wait_seconds=60)
    assert time.monotonic() - started < 15
    assert not isinstance(told.value, Unavailable)
    assert "guessed" not in str(told.value)


def test_a_broker_that_comes_late_is_waited_for(settings: dict[str, str], broker: Broker) -> None:
    broker.stop()
    later = threading.Timer(6, broker.start)  # when the first question has been given up
    later.start()
    try:
        lines = prepared(settings, wait_seconds=90)
    finally:
        later.join()
    assert lines[1].startswith("Waiting up to ")
    assert lines[1].endswith(f"s for Kafka at {broker.bootstrap_servers}, which does not answer yet ...")
    assert lines[2].startswith(f"Made the topic {settings['KAFKA_TOPIC']} at ")
    assert len(lines) == 3
