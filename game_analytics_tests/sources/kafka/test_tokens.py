"""OAUTHBEARER on a real broker, which ends connections whose token has expired: tokens made by a program, as for AWS
IAM, and those that librdkafka fetches from an OpenID provider."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from game_analytics.defs.resources import KafkaEventLogResource
from game_analytics.engines.local import LocalEngine
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.simulation.publish_day import produce_day
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics.sources.kafka.tokens import TokenSource
from game_analytics_tests.support.broker import NewTopicFactory, config_file, log_on, send, sent
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.samples import DAY, ONE_HOUR, kill, manifest_bytes, utc
from game_analytics_tests.support.tokens import OAUTH, UnsignedTokens, token_endpoint
from game_analytics_tests.support.topics import Topic

SHORT = 6.0
"""Seconds. librdkafka looks once a second whether four fifths are over, so shorter lives would end before that."""


def settings_with(
    broker: Broker, topic: str, tokens: TokenSource, patience: timedelta = timedelta(minutes=2)
) -> KafkaSettings:
    return KafkaSettings(broker.oauth_bootstrap_servers, topic, OAUTH, patience, tokens=tokens)


def lies_behind(moment: float) -> bool:
    """Whether these seconds since 1970 are over, and half a second more."""
    return time.time() > moment + 0.5


def land(log: KafkaEventLog, lake: Lake, workers: int = 1) -> bytes:
    """Land the day, and return its manifest."""
    options = LandingOptions(ONE_HOUR, engine=LocalEngine(workers), slice_size=1_000)
    land_day(log, lake, DAY, options, clock=lambda: utc("2025-12-31 06:00"))
    return manifest_bytes(lake)


def test_a_token_that_expires_while_a_partition_is_read_is_renewed(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00", kill("p" * 500))] * 40_000)
    tokens = UnsignedTokens(SHORT)
    with_tokens = KafkaEventLog(settings_with(broker, topic, tokens))
    found = 0
    for batch in with_tokens.read(0, 0, 40_000, max_messages=10_000, max_bytes=100_000_000):
        found += batch.height
        # The client's queue is smaller than a batch, so the next one is fetched after all tokens so far have expired.
        ended = partial(lies_behind, max(token.expires for token in tokens.made))
        eventually(ended, "the tokens have expired", seconds=30)
    assert found == 40_000
    assert with_tokens.extents()[0].high == 40_000
    assert len(tokens.made) > 4


def test_without_new_tokens_the_broker_ends_the_connection_and_credentials_are_named(
    broker: Broker, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 10)
    tokens = UnsignedTokens(SHORT)
    log = KafkaEventLog(settings_with(broker, topic, tokens, timedelta(seconds=20)))
    log.ensure_readable()
    tokens.fails = True
    eventually(lambda: lies_behind(max(token.expires for token in tokens.made)), "they have expired", seconds=60)
    with pytest.raises(GameAnalyticsError) as refused:
        log.extents()
    assert f"Kafka at {broker.oauth_bootstrap_servers} refuses the credentials" in str(refused.value)
    assert "what makes the token" in str(refused.value)


def test_processes_that_land_slices_make_their_own_tokens(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(3)
    send(broker, topic, [sent(number % 3, "2025-12-30 12:00", kill(f"p{number}")) for number in range(9_000)])
    anonymous = land(log_on(broker, topic), lake)
    assert land(KafkaEventLog(settings_with(broker, topic, UnsignedTokens(60))), lake, workers=3) == anonymous


def test_a_day_is_published_with_tokens(broker: Broker, unmade: Topic) -> None:
    tokens = UnsignedTokens(SHORT)
    target = settings_with(broker, unmade.name, tokens)
    output = StringIO()
    produce_day(Console(file=output), target, DAY, Simulation(events_per_day=2_000), partitions=2, create=True)
    assert sum(unmade.ends().values()) >= 2_000


def test_an_openid_provider_gives_the_tokens_where_the_file_names_it(
    broker: Broker, topic_of: Callable[..., Topic], lake: Lake, tmp_path: Path
) -> None:
    topic = topic_of(1).name
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 3)
    with token_endpoint() as endpoint:
        endpoint.seconds = SHORT
        file = config_file(tmp_path, endpoint.properties())
        log = KafkaEventLogResource(
            bootstrap_servers=broker.oauth_bootstrap_servers, topic=topic, config_file=file
        ).open()
        assert log.extents()[0].high == 3
        asked = endpoint.given
        eventually(lambda: endpoint.given > asked + 2, "it is asked again before each token expires", seconds=60)
        assert log.extents()[0].high == 3
        assert isinstance(log, KafkaEventLog)
        assert land(log, lake) == land(log_on(broker, topic), lake)


def test_what_an_openid_provider_refuses_is_told_without_the_secret(
    broker: Broker, new_topic: NewTopicFactory, tmp_path: Path
) -> None:
    with token_endpoint() as endpoint:
        file = config_file(tmp_path, endpoint.properties(secret="wrong-and-not-for-a-log"))
        resource = KafkaEventLogResource(
            bootstrap_servers=broker.oauth_bootstrap_servers, topic=new_topic(), config_file=file
        )
        with pytest.raises(GameAnalyticsError) as refused:
            resource.open()
    assert "refuses the credentials" in str(refused.value)
    assert "not-for-a-log" not in str(refused.value)
