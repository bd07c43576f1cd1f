"""What brokers answer while partitions move, and answers that never get better: on librdkafka's mock broker."""

import time
from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pytest
from confluent_kafka import KafkaError

from game_analytics.errors import Unavailable
from game_analytics.sources.event_log import Extent
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics_tests.support.mock_cluster import FETCH, LIST_OFFSETS, TOPIC, MockCluster, mock_cluster


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        yield cluster


def log_on(cluster: MockCluster, patience: timedelta = timedelta(seconds=30)) -> KafkaEventLog:
    return KafkaEventLog(KafkaSettings(cluster.bootstrap_servers, TOPIC, {}, patience))


@pytest.mark.parametrize(
    "error",
    [
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,  # it was just made or moved, for the topic is known
    ],
)
def test_a_look_up_is_asked_again_while_a_partition_moves(cluster: MockCluster, error: int) -> None:
    cluster.send(3)
    cluster.answer_with(error, LIST_OFFSETS, times=2)
    assert log_on(cluster).extents() == {0: Extent(0, 3, 3)}


def test_a_look_up_that_never_succeeds_ends_when_patience_is_out(cluster: MockCluster) -> None:
    log = log_on(cluster, patience=timedelta(seconds=2))
    log.ensure_readable()
    cluster.answer_with(KafkaError.NOT_LEADER_FOR_PARTITION, LIST_OFFSETS, times=1_000)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="NOT_LEADER_FOR_PARTITION") as failure:
        log.extents()
    assert 2 <= time.monotonic() - started < 15
    assert failure.value.waited


def test_errors_in_place_of_messages_are_waiting_too(cluster: MockCluster) -> None:
    """They come twice a second, so there is always something delivered."""
    cluster.send(10)
    cluster.answer_with(KafkaError.UNKNOWN, FETCH, times=1_000)
    log = log_on(cluster, patience=timedelta(seconds=4))
    signs_of_life: list[pl.DataFrame] = []
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"nothing of {TOPIC}, partition 0, from offset 0 on for 4 s") as failure:
        signs_of_life.extend(log.read(0, 0, 10, max_messages=5, max_bytes=1_000))
    assert 4 <= time.monotonic() - started < 15
    assert [batch.height for batch in signs_of_life] == [0] * len(signs_of_life)
    assert len(signs_of_life) >= 2
    assert "broker 1 at 127.0.0.1:" in str(failure.value)


def test_errors_that_pass_cost_nothing_but_time(cluster: MockCluster) -> None:
    cluster.send(10)
    cluster.answer_with(KafkaError.UNKNOWN, FETCH, times=3)
    batches = log_on(cluster).read(0, 0, 10, max_messages=100, max_bytes=1_000)
    assert [batch.height for batch in batches if batch.height] == [10]
