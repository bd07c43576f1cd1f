"""Servers and topics as people write them: what a client can't mean is told before anybody is asked."""

import pytest

from game_analytics.defs.resources import KafkaEventLogResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.client import OPTIONS, VARIABLES, KafkaSettings


@pytest.mark.parametrize(
    "servers",
    [
        "kafka-1:9092",
        "kafka-1:9092,kafka-2:9092",
        "kafka-1:9092, kafka-2:9092",
        "kafka-1",
        "10.0.0.1:9092",
        "[::1]:9092",
        "[fe80::1%eth0]:9092",
        "b-1.games.kafka.eu-west-1.amazonaws.example:9098",
        "under_score:9092",
    ],
)
def test_servers_as_clients_expect_them_pass(servers: str) -> None:
    KafkaSettings(servers, "game-events").ensure_well_formed(VARIABLES)


@pytest.mark.parametrize(
    ("servers", "named"),
    [
        ("kafka://kafka-1:9092", "kafka://kafka-1:9092"),
        ("http://kafka-1:9092/", "http://kafka-1:9092/"),
        ("kafka-1:9092,SASL_SSL://kafka-2:9092", "SASL_SSL://kafka-2:9092"),
        ("kafka-1:9092/game-events", "kafka-1:9092/game-events"),
        ("kafka-1:9092 kafka-2:9092", "kafka-1:9092 kafka-2:9092"),
        ("kafka-1:9092;kafka-2:9092", "kafka-1:9092;kafka-2:9092"),
        ("kafka-1:port", "kafka-1:port"),
        ("kafka-1:", "kafka-1:"),
        (":9092", ":9092"),
        ("::1", "::1"),
        ("kafka-1:9092,,kafka-2:9092", ""),
    ],
)
def test_servers_that_are_none_are_named_with_what_is_expected(servers: str, named: str) -> None:
    with pytest.raises(GameAnalyticsError) as refusal:
        KafkaSettings(servers, "game-events").ensure_well_formed(VARIABLES)
    assert f"KAFKA_BOOTSTRAP_SERVERS names {named!r}; `host:port` is expected" in str(refusal.value)


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(GameAnalyticsError) as refusal:
        KafkaSettings("kafka://ann:hunter2@kafka-1:9092", "game-events").ensure_well_formed(OPTIONS)
    assert "hunter2" not in str(refusal.value)
    assert "kafka://…@kafka-1:9092" in str(refusal.value)
    assert str(refusal.value).startswith("--bootstrap-servers names ")


@pytest.mark.parametrize("topic", ["game-events", "Game.Events_2025", "7", "a" * 249, "...", ".."[:1] + "a"])
def test_topics_as_kafka_names_them_pass(topic: str) -> None:
    KafkaSettings("kafka-1:9092", topic).ensure_well_formed(VARIABLES)


@pytest.mark.parametrize(
    "topic",
    [
        "kills,deaths",
        "kills deaths",
        "^game.*",
        "game-*",
        "*",
        "game/events",
        "",
        ".",
        "..",
        "a" * 250,
        "spiele-ä",
        "a\n",
    ],
)
def test_a_topic_that_is_a_list_or_a_pattern_is_named_with_what_is_expected(topic: str) -> None:
    with pytest.raises(GameAnalyticsError) as refusal:
        KafkaSettings("kafka-1:9092", topic).ensure_well_formed(VARIABLES)
    assert str(refusal.value).startswith("KAFKA_TOPIC is ")
    assert "the name of one topic is expected, neither a list nor a pattern" in str(refusal.value)


@pytest.mark.parametrize(("servers", "topic"), [("kafka://kafka-1:9092", "game-events"), ("kafka-1:9092", "^game.*")])
def test_a_run_that_is_configured_so_fails_at_once(servers: str, topic: str) -> None:
    with pytest.raises(GameAnalyticsError, match="is expected"):
        KafkaEventLogResource(bootstrap_servers=servers, topic=topic).open()
