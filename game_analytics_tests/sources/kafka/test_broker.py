"""The broker of the tests itself: real, on loopback, and with its data when it comes back."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.kafka_broker import KAFKA_VERSION, Broker, Kafka, find_kafka
from game_analytics_tests.support.broker import (
    NewTopicFactory,
    admin_of,
    credentials,
    forbid,
    forbid_to_read,
    make_topic,
    send,
)

NEW_YEAR_2025 = 1_735_689_600_000
LOOPBACK_AS_THE_KERNEL_WRITES_IT = "0100007F"


@contextmanager
def consumer(servers: str, topic: str, properties: Mapping[str, Any]) -> Iterator[Consumer]:
    """Reads partition 0 from its start."""
    settings = {"bootstrap.servers": servers, "group.id": "test", "enable.auto.commit": False, "log_level": 0}
    with closing(Consumer({**settings, **properties})) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        yield consumer


def first_message(servers: str, topic: str, properties: Mapping[str, Any] | None = None) -> Message:
    """The first message, or the error in its stead."""
    with consumer(servers, topic, properties or {}) as reader:
        message = reader.poll(30)
    assert message is not None
    return message


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses (hexadecimal, as the kernel writes them) and ports on which a process listens."""
    names = [name for fd in Path(f"/proc/{pid}/fd").iterdir() if (name := target(fd)) is not None]
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    found = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in names]
    return {(address, int(port, 16)) for address, port in found}


def target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # it was closed meanwhile
        return None


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def programs(folder: Path, **scripts: str) -> str:
    """A search path on which these programs stand, and no others."""
    for name, script in scripts.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return str(folder)


def java(version: str) -> str:
    return f"""echo 'openjdk version "{version}" 2025-04-15' >&2"""


def test_a_message_keeps_its_timestamp_key_and_value(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    assert send(broker, topic, [(0, b"ann", b"kill", NEW_YEAR_2025)]) == [0]
    message = first_message(broker.bootstrap_servers, topic)
    assert (message.key(), message.value()) == (b"ann", b"kill")
    assert message.timestamp()[1] == NEW_YEAR_2025


def test_offsets_are_told_in_the_order_of_the_messages(broker: Broker, new_topic: NewTopicFactory) -> None:
    messages = [(partition, None, None, NEW_YEAR_2025) for partition in (0, 1, 0, 1, 1)]
    assert send(broker, new_topic(2), messages) == [0, 0, 1, 1, 2]


def test_a_topic_has_the_settings_asked_for(broker: Broker, admin: AdminClient, new_topic: NewTopicFactory) -> None:
    topic = new_topic(3, message_timestamp_type="LogAppendTime")
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 3
    send(broker, topic, [(0, None, None, NEW_YEAR_2025)])
    kind, timestamp = first_message(broker.bootstrap_servers, topic).timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert timestamp > NEW_YEAR_2025


def test_a_message_that_the_topic_refuses_is_reported(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic(max_message_bytes=100)
    with pytest.raises(AssertionError, match="MSG_SIZE_TOO_LARGE"):
        send(broker, topic, [(0, None, b"x" * 1000, NEW_YEAR_2025)])


def test_it_listens_on_loopback_only(broker: Broker) -> None:
    addresses = listening(broker.pid)
    assert {address for address, _ in addresses} == {LOOPBACK_AS_THE_KERNEL_WRITES_IT}
    known = {int(servers.rpartition(":")[2]) for servers in (broker.bootstrap_servers, broker.sasl_bootstrap_servers)}
    assert known < {port for _, port in addresses}


def test_who_gives_his_password_may_read(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [(0, None, b"kill", NEW_YEAR_2025)])
    assert first_message(broker.sasl_bootstrap_servers, topic, credentials("reader")).value() == b"kill"


def test_a_wrong_password_is_refused(broker: Broker, new_topic: NewTopicFactory) -> None:
    errors: list[KafkaError] = []
    properties = {**credentials("reader", password="guessed"), "error_cb": errors.append}
    with consumer(broker.sasl_bootstrap_servers, new_topic(), properties) as reader:
        end = time.monotonic() + 30
        while not errors and time.monotonic() < end:
            assert reader.poll(0.1) is None
    assert errors[0].code() == KafkaError._AUTHENTICATION


def test_a_user_who_may_see_a_topic_but_not_read_it_gets_an_error(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [(0, None, b"kill", NEW_YEAR_2025)])
    forbid_to_read(admin, topic, "reader")
    error = first_message(broker.sasl_bootstrap_servers, topic, credentials("reader")).error()
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_user_who_is_denied_a_topic_is_not_told_about_it(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    forbid(admin, topic, "reader")
    reader = AdminClient({"bootstrap.servers": broker.sasl_bootstrap_servers, **credentials("reader")})
    found = reader.list_topics(topic, timeout=30).topics[topic]
    assert found.error is not None
    assert found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert not found.partitions


def test_another_one_beside_it_keeps_its_messages_over_a_stop_and_a_kill(
    broker: Broker, new_topic: NewTopicFactory, kafka: Kafka, tmp_path: Path
) -> None:
    elsewhere = new_topic()
    with Broker(kafka, tmp_path) as second:
        topic = make_topic(admin_of(second))
        assert elsewhere not in admin_of(second).list_topics(timeout=10).topics
        for start, end_it in enumerate([second.stop, second.kill]):
            assert send(second, topic, [(0, None, b"kill", NEW_YEAR_2025)]) == [start]
            pid = second.pid
            end_it()
            assert not is_alive(pid)
            second.start()
        assert first_message(second.bootstrap_servers, topic).timestamp()[1] == NEW_YEAR_2025
        assert send(second, topic, [(0, None, b"kill", NEW_YEAR_2025)]) == [2]
    assert not is_alive(second.pid)
    assert is_alive(broker.pid)


def test_a_second_one_on_the_same_files_is_refused(broker: Broker, kafka: Kafka) -> None:
    with pytest.raises(GameAnalyticsError, match=f"still runs on the files in {broker.folder}"):
        Broker(kafka, broker.folder).start()
    assert is_alive(broker.pid)


def test_one_that_ends_at_once_is_reported_with_its_last_words(kafka: Kafka, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=of-another-cluster\n")
    broker = Broker(kafka, tmp_path)
    with pytest.raises(Unavailable) as obituary:
        broker.start()
    assert f"Kafka ended before it answered at {broker.bootstrap_servers} (exit code 1)" in str(obituary.value)
    assert "Stored node id 7 doesn't match previous node id 1" in str(obituary.value)
    assert not is_alive(broker.pid)


def test_a_folder_that_cannot_take_its_data_is_named(kafka: Kafka, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where it needs a folder")
    with pytest.raises(Unavailable, match=f"Kafka could not prepare {tmp_path}/data: (.*\n)*.*Not a directory"):
        Broker(kafka, tmp_path).start()


def test_without_java_it_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(GameAnalyticsError, match=r"no java on the PATH\. Install Java 17 or newer"):
        find_kafka(tmp_path / "cache", programs(tmp_path))


def test_a_java_that_is_too_old_is_named_with_its_version(tmp_path: Path) -> None:
    with pytest.raises(GameAnalyticsError, match=r'needs Java 17, and .*/java says: openjdk version "11\.0\.2"'):
        find_kafka(tmp_path / "cache", programs(tmp_path, java=java("11.0.2")))


def test_without_maven_it_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(GameAnalyticsError, match=r"no mvn on the PATH\. Install it"):
        find_kafka(tmp_path / "cache", programs(tmp_path, java=java("17.0.15")))


def test_once_the_jars_are_there_maven_is_not_needed(tmp_path: Path) -> None:
    jars = tmp_path / "cache" / f"kafka-{KAFKA_VERSION}"
    jars.mkdir(parents=True)
    assert find_kafka(tmp_path / "cache", programs(tmp_path, java=java("21"))).jars == jars


def test_a_fetch_that_fails_leaves_nothing_and_shows_what_maven_said(tmp_path: Path) -> None:
    half_done = "mkdir jars; echo > jars/half.jar; echo 'Could not transfer artifact'; exit 1"
    path = programs(tmp_path, java=java("17.0.15"), mvn=f"PATH=/bin; {half_done}")
    with pytest.raises(Unavailable, match=r"exit code 1.*\nCould not transfer artifact"):
        find_kafka(tmp_path / "cache", path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_fetch_that_another_process_overtook_takes_what_that_one_fetched(tmp_path: Path) -> None:
    overtaken = f"mkdir jars; echo ours > jars/a.jar; mkdir ../kafka-{KAFKA_VERSION}; "
    overtaken += f"echo theirs > ../kafka-{KAFKA_VERSION}/a.jar"
    path = programs(tmp_path, java=java("17.0.15"), mvn=f"PATH=/bin; {overtaken}")
    jars = find_kafka(tmp_path / "cache", path).jars
    assert (jars / "a.jar").read_text() == "theirs\n"
    assert list((tmp_path / "cache").iterdir()) == [jars]
