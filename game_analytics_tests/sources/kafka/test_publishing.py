"""The producer on a real broker: what a topic holds when something is in the way."""

import os
import time
from collections.abc import Callable

import polars as pl
import pytest

from game_analytics.simulation.publisher import DeliveryFailed, Publisher
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics_tests.support.topics import Topic

NOON_MS = 1_767_096_000_000
ONE_BY_ONE = {"batch.num.messages": "1"}


def batch(*values: bytes) -> pl.DataFrame:
    """Messages for partition 0, a millisecond apart."""
    return pl.DataFrame(
        {
            "partition": [0] * len(values),
            "key": [None] * len(values),
            "timestamp": [NOON_MS + number for number in range(len(values))],
            "value": values,
        },
        schema={"partition": pl.UInt8, "key": pl.String, "timestamp": pl.Int64, "value": pl.Binary},
    )


def test_behind_a_message_that_is_refused_none_is_sent(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(1, max_message_bytes=1_000)
    small = [b"%d" % number for number in range(20)]
    too_large = os.urandom(5_000)  # which no compression makes smaller
    publisher = Publisher(KafkaSettings(topic.broker.bootstrap_servers, topic.name, ONE_BY_ONE), lambda _: None)
    publisher.queue(batch(*small[:10], too_large, *small[10:]))
    time.sleep(2)  # librdkafka works in the background, and may go on for longer than it is looked at
    with pytest.raises(DeliveryFailed, match="MSG_SIZE_TOO_LARGE"):
        publisher.settle(10)
    publisher.give_up()
    assert [value for _, value in topic.delivered()[0]] == small[:10]


def test_what_is_settled_is_there(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(1)
    publisher = Publisher(KafkaSettings(topic.broker.bootstrap_servers, topic.name), lambda _: None)
    publisher.queue(batch(b"one", b"two"))
    assert publisher.settle(30) == 0
    assert topic.delivered() == {0: [(NOON_MS, b"one"), (NOON_MS + 1, b"two")]}
