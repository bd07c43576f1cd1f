"""The broker goes away in the middle of a landing: it is waited for, and not for ever."""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import read_landing
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.sources.event_log import Reader
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics_tests.support.broker import NewTopicFactory, log_on, send, sent
from game_analytics_tests.support.harness import failure_of, given_log, pipeline_on
from game_analytics_tests.support.samples import DAY, MORNING_AFTER, ONE_HOUR, stored

MESSAGES = 40_000
SLOWLY = {
    # So little is fetched ahead that most of the slice is still at the broker when it goes.
    "fetch.message.max.bytes": "20000",
    "queued.max.messages.kbytes": "40",
}


class LosesItsBroker(KafkaEventLog):
    """Stops the broker when this many messages were read, once."""

    def __init__(self, broker: Broker, topic: str, patience: timedelta) -> None:
        super().__init__(KafkaSettings(broker.bootstrap_servers, topic, SLOWLY, patience))
        self._broker = broker
        self.lost = threading.Event()

    @contextmanager
    def reader(self, on_request: Collection[str] = ()) -> Iterator[Reader]:
        with super().reader(on_request) as reader:
            yield LosesItsBrokerReader(reader, self._broker, self.lost)


@dataclass
class LosesItsBrokerReader(Reader):
    """Stops the broker once 5,000 messages of a range were read."""

    reader: Reader
    broker: Broker
    lost: threading.Event

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        del max_messages
        read = 0
        for batch in self.reader.read(partition, first, end, max_messages=1_000, max_bytes=max_bytes):
            read += batch.height
            yield batch
            if read >= 5_000 and not self.lost.is_set():
                self.broker.stop()
                self.lost.set()


@pytest.fixture
def topic(broker: Broker, new_topic: NewTopicFactory) -> str:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * MESSAGES)
    return topic


@contextmanager
def back_afterwards(broker: Broker) -> Iterator[None]:
    """Whatever becomes of the test, the others find the broker up."""
    try:
        yield
    finally:
        broker.stop()
        broker.start()


@contextmanager
def back_after(broker: Broker, lost: threading.Event, seconds: float) -> Iterator[None]:
    """Starts the broker again so many seconds after it was lost."""

    def start_again() -> None:
        assert lost.wait(60)
        time.sleep(seconds)  # the length of the outage is what is tested
        broker.start()

    thread = threading.Thread(target=start_again)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_broker_that_is_back_after_20_seconds_costs_nothing_but_time(broker: Broker, topic: str, lake: Lake) -> None:
    log = LosesItsBroker(broker, topic, timedelta(minutes=2))
    lines: list[tuple[float, str]] = []
    with back_after(broker, log.lost, 20):
        landing = land_day(
            log,
            lake,
            DAY,
            LandingOptions(ONE_HOUR),
            clock=lambda: MORNING_AFTER,
            tell=lambda line: lines.append((time.monotonic(), line)),
        )
    total = landing.manifest.total()
    assert (total["read"], total["gaps"], total["landed"]) == (MESSAGES, 0, MESSAGES)
    # It says every few seconds that it waits.
    assert len(lines) >= 4
    assert max(after - before for (before, _), (after, _) in pairwise(lines)) < 10
    assert ", 0 a second" in lines[1][1]
    # And what it landed is what an undisturbed landing lands.
    undisturbed = land_day(log_on(broker, topic), lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: MORNING_AFTER)
    assert undisturbed.etag == landing.etag


def test_a_broker_that_does_not_come_back_fails_the_landing_when_patience_is_out(
    broker: Broker, topic: str, lake: Lake
) -> None:
    log = LosesItsBroker(broker, topic, timedelta(seconds=8))
    with back_afterwards(broker), pytest.raises(Unavailable) as failure:
        land_day(log, lake, DAY, LandingOptions(ONE_HOUR), clock=lambda: MORNING_AFTER)
    text = str(failure.value)
    for part in (f"Kafka at {broker.bootstrap_servers}", topic, "partition 0", "for 8 s", "Nothing was committed"):
        assert part in text
    offset = int(text.partition("from offset ")[2].split()[0])
    assert 5_000 <= offset < MESSAGES
    assert read_landing(lake, DAY) is None
    assert stored(lake) == {}


def test_a_run_does_not_wait_again_for_a_broker_that_it_waited_for(
    broker: Broker, topic: str, lake_resource: LakeResource
) -> None:
    log = LosesItsBroker(broker, topic, timedelta(seconds=4))
    with back_afterwards(broker), pipeline_on(lake_resource, given_log(log)) as pipeline:
        started = time.monotonic()
        result = pipeline.run("daily_stats_job", DAY.isoformat())
        assert time.monotonic() - started < 20
        assert "partition 0, from offset" in failure_of(result)
        assert pipeline.recorded_days("raw_events") == []


def test_a_broker_that_is_away_when_the_landing_begins_is_asked_again(
    broker: Broker, topic: str, lake_resource: LakeResource
) -> None:
    away = threading.Event()
    with back_afterwards(broker), pipeline_on(lake_resource, given_log(log_on(broker, topic))) as pipeline:
        broker.stop()
        away.set()
        with back_after(broker, away, 1):
            assert pipeline.run("daily_stats_job", DAY.isoformat()).success
