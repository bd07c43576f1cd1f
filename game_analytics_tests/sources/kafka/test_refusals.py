"""What an on-call engineer reads when Kafka can't be read: within 15 seconds, naming the thing, without a secret."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from confluent_kafka.admin import AdminClient

from game_analytics.defs.resources import KafkaEventLogResource, LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.kafka_broker import PASSWORDS, Broker
from game_analytics.local_stack.ports import free_ports
from game_analytics_tests.support.broker import (
    NewTopicFactory,
    config_file,
    credentials,
    forbid,
    forbid_to_read,
    log_on,
    offsets,
    read,
    send,
    sent,
)
from game_analytics_tests.support.harness import failure_of, pipeline_on

WRONG = "not-the-password"


@contextmanager
def refused_within_15_seconds() -> Iterator[list[str]]:
    """Collects the one message of the error that the block ends with."""
    told: list[str] = []
    started = time.monotonic()
    with pytest.raises(GameAnalyticsError) as failure:
        yield told
    told.append(str(failure.value))
    assert time.monotonic() - started < 15


def resource(servers: str, topic: str, file: str | None = None) -> KafkaEventLogResource:
    return KafkaEventLogResource(bootstrap_servers=servers, topic=topic, config_file=file)


def test_servers_that_do_not_answer_are_named() -> None:
    [port] = free_ports(1)
    with refused_within_15_seconds() as told:
        resource(f"127.0.0.1:{port}", "game-events").open()
    for part in (f"Kafka at 127.0.0.1:{port} does not answer", "Connection refused", "KAFKA_BOOTSTRAP_SERVERS"):
        assert part in told[0]


def test_a_name_that_nobody_knows_is_named() -> None:
    with refused_within_15_seconds() as told:
        resource("kafka.invalid:9092", "game-events").open()
    assert "Kafka at kafka.invalid:9092 does not answer" in told[0]
    assert "resolve" in told[0].lower()


def test_an_unknown_topic_is_named_and_not_made(broker: Broker, admin: AdminClient) -> None:
    with refused_within_15_seconds() as told:
        resource(broker.bootstrap_servers, "no-such-topic").open()
    assert f"Kafka at {broker.bootstrap_servers} has no topic no-such-topic" in told[0]
    assert "KAFKA_TOPIC" in told[0]
    assert "no-such-topic" not in admin.list_topics(timeout=10).topics


def test_wrong_credentials_are_refused_at_once(broker: Broker, new_topic: NewTopicFactory, tmp_path: Path) -> None:
    file = config_file(tmp_path, credentials("reader", WRONG))
    with refused_within_15_seconds() as told:
        resource(broker.sasl_bootstrap_servers, new_topic(), file).open()
    assert "refuses the credentials" in told[0]
    assert "KAFKA_CONFIG_FILE" in told[0]
    assert WRONG not in told[0]


def test_a_listener_that_wants_credentials_does_not_answer_without(broker: Broker, new_topic: NewTopicFactory) -> None:
    with refused_within_15_seconds() as told:
        resource(broker.sasl_bootstrap_servers, new_topic()).open()
    assert f"Kafka at {broker.sasl_bootstrap_servers} does not answer" in told[0]
    assert "security.protocol" in told[0]


def test_a_user_with_the_right_password_reads(broker: Broker, new_topic: NewTopicFactory, tmp_path: Path) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 3)
    file = config_file(tmp_path, credentials("reader"))
    log = resource(broker.sasl_bootstrap_servers, topic, file).open()
    assert log.extents()[0].high == 3
    assert [batch.height for batch in log.read(0, 0, 3, max_messages=10, max_bytes=1_000)] == [3]


def test_a_topic_that_is_hidden_from_the_user_is_named(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, tmp_path: Path
) -> None:
    topic = new_topic()
    forbid(admin, topic, "reader")
    with refused_within_15_seconds() as told:
        resource(broker.sasl_bootstrap_servers, topic, config_file(tmp_path, credentials("reader"))).open()
    assert f"does not let this user read the topic {topic}" in told[0]
    assert "ACL" in told[0]


def test_a_topic_that_the_user_sees_but_may_not_read_is_named(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, tmp_path: Path
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    forbid_to_read(admin, topic, "reader")
    log = resource(broker.sasl_bootstrap_servers, topic, config_file(tmp_path, credentials("reader"))).open()
    with refused_within_15_seconds() as told:
        list(log.read(0, 0, 1, max_messages=10, max_bytes=1_000))
    assert f"does not let this user read the topic {topic}" in told[0]


@pytest.mark.parametrize(
    "properties",
    [
        {"sasl.pasword": PASSWORDS["reader"]},
        {"fetch.min.bytes": PASSWORDS["reader"]},
        {"security.protocol": "ssl", "ssl.key.pem": PASSWORDS["reader"]},
    ],
)
def test_a_property_that_the_client_refuses_is_named_and_never_what_it_is_set_to(
    tmp_path: Path, properties: dict[str, str]
) -> None:
    with refused_within_15_seconds() as told:
        resource("127.0.0.1:9092", "game-events", config_file(tmp_path, properties)).open()
    assert "KAFKA_CONFIG_FILE" in told[0]
    assert list(properties)[-1] in told[0]
    assert PASSWORDS["reader"] not in told[0]


def test_a_topic_that_goes_while_it_is_read_is_named_when_patience_is_out(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    log = log_on(broker, topic, patience=timedelta(seconds=3))
    assert offsets(log, 0, 0, 1) == [0]
    admin.delete_topics([topic])[topic].result()
    with refused_within_15_seconds() as told:
        read(log, 0, 0, 1)
    assert f"has delivered nothing of {topic}, partition 0, from offset 0 on for 3 s" in told[0]


def test_a_failed_run_shows_the_cause_and_no_secret(
    broker: Broker, new_topic: NewTopicFactory, lake_resource: LakeResource, tmp_path: Path
) -> None:
    log = resource(broker.sasl_bootstrap_servers, new_topic(), config_file(tmp_path, credentials("reader", WRONG)))
    with pipeline_on(lake_resource, log) as pipeline:
        result = pipeline.run("daily_stats_job", "2025-12-30")
        assert not result.success
        assert "refuses the credentials" in failure_of(result)
        records = pipeline.instance.all_logs(result.run_id)
    everything = "\n".join(dg.serialize_value(record) for record in records)
    assert "sasl" in everything
    assert WRONG not in everything


def test_a_successful_run_shows_no_secret(
    broker: Broker, new_topic: NewTopicFactory, lake_resource: LakeResource, tmp_path: Path
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    log = resource(broker.sasl_bootstrap_servers, topic, config_file(tmp_path, credentials("reader")))
    with pipeline_on(lake_resource, log) as pipeline:
        result = pipeline.run("daily_stats_job", "2025-12-30")
        assert result.success
        records = pipeline.instance.all_logs(result.run_id)
    everything = "\n".join([*(dg.serialize_value(record) for record in records), repr(log), repr(log.settings())])
    assert PASSWORDS["reader"] not in everything
