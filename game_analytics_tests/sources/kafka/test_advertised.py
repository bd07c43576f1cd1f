"""A broker that answers, and tells its clients to reach it by a name that they can't resolve."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest

from game_analytics.errors import Unavailable
from game_analytics.local_stack.kafka_broker import Broker, Kafka
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics.sources.kafka.topic import Topic

HOST = "kafka-internal.invalid"


class Elsewhere(Broker):
    """As one in a container whose name only its neighbours know."""

    def _settings(self) -> Mapping[str, str | float]:
        advertised = f"PLAINTEXT://{HOST}:9092,SASL_PLAINTEXT://{HOST}:9093"
        return {**super()._settings(), "advertised.listeners": advertised}


@pytest.fixture(scope="module")
def settings(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    with Elsewhere(kafka, tmp_path_factory.mktemp("elsewhere")) as broker:
        patience = timedelta(seconds=5)
        yield KafkaSettings(broker.bootstrap_servers, "game-events", {}, patience, answers_within=timedelta(seconds=3))


def test_who_reads_is_told_to_look_at_what_is_advertised(settings: KafkaSettings) -> None:
    with pytest.raises(Unavailable) as failure:
        _ = KafkaEventLog(settings).identity
    ensure_advice(failure.value)


def test_who_publishes_is_told_the_same(settings: KafkaSettings) -> None:
    with pytest.raises(Unavailable) as failure:
        Topic(settings).create(1)
    ensure_advice(failure.value)


def ensure_advice(error: Unavailable) -> None:
    assert f"broker 1 at {HOST}:909" in str(error)
    assert "advertised.listeners" in str(error)
