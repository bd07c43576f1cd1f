"""A topic that MirrorMaker 2 copies from another cluster, late: it keeps the time of creation, so what it brings after
a day was landed is counted on its day all the same."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.kafka_broker import Broker, Kafka
from game_analytics_tests.support.broker import Sent, log_on, send
from game_analytics_tests.support.listed_log import Message
from game_analytics_tests.support.mirror_maker import Mirror, MirrorMaker, find_mirror_maker
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.samples import (
    DAY,
    FIRST_NIGHT,
    NEXT_DAY,
    SECOND_NIGHT,
    before_the_mirror_went_down,
    caught_up,
    heal_all,
    kills,
    land,
    read_of,
)
from game_analytics_tests.support.topics import Topic


@pytest.fixture
def maker(kafka: Kafka) -> MirrorMaker:
    return required(lambda: find_mirror_maker(kafka))


@pytest.fixture
def source(topic_of: Callable[..., Topic]) -> Topic:
    return topic_of(1)


@pytest.fixture
def mirror(maker: MirrorMaker, broker: Broker, source: Topic, tmp_path: Path) -> Iterator[Mirror]:
    """One that is down."""
    mirror = Mirror(maker, broker, source.name, tmp_path)
    yield mirror
    mirror.stop()


def to_send(messages: Sequence[Message]) -> list[Sent]:
    return [(0, None, message.value, message.timestamp_ms) for message in messages]


@pytest.mark.timeout(300, func_only=True)
def test_what_the_mirror_brings_after_the_day_was_landed_is_counted_on_its_day(
    broker: Broker, source: Topic, mirror: Mirror, lake: Lake
) -> None:
    before = before_the_mirror_went_down()
    send(broker, source.name, to_send(before))
    mirror.start()
    mirror.wait_for(2)
    mirror.stop()
    log = log_on(broker, mirror.target.name)
    first = land(log, lake, now=FIRST_NIGHT)
    assert (read_of(first.manifest), first.manifest.window_closed) == ((0, 2), True)
    send(broker, source.name, to_send(caught_up()[len(before) :]))
    mirror.start()
    mirror.wait_for(20)
    assert mirror.target.messages() == source.messages()
    second = land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    assert (read_of(second.manifest), second.manifest.missed) == ((2, 20), {"2025-12-30": 15})
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert kills(lake) == {"ann": 2, "bob": 15}
    assert kills(lake, NEXT_DAY) == {"eve": 3}
