"""Simulated days on a real broker: which messages a topic gets, and when it gets none."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from rich.console import Console

from game_analytics.cli.main import main
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.rules.days import window_of
from game_analytics.simulation.publish_day import produce_day
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics_tests.support.broker import delete_before, send
from game_analytics_tests.support.simulated import UNREADABLE
from game_analytics_tests.support.topics import HOUR, Topic, in_memory, landed_of, two_partitions

DAY_BEFORE, DAY, DAY_AFTER = date(2025, 12, 29), date(2025, 12, 30), date(2025, 12, 31)
YEAR_2100_MS = 4_102_444_800_000


def test_a_day_published_alone_is_all_that_a_landing_of_it_reads(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    topic.produce(DAY, two_partitions())
    delivered = topic.delivered()
    assert sum(map(len, delivered.values())) > 2_000
    assert delivered == landed_of(DAY, two_partitions())


def test_days_published_in_order_go_on_where_the_one_before_ended(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    for day in (DAY_BEFORE, DAY, DAY_AFTER):
        topic.produce(day, two_partitions())
    start, end = window_of(DAY_BEFORE, HOUR).start, window_of(DAY_AFTER, HOUR).end
    assert topic.delivered() == in_memory(two_partitions(), start, end)


def test_a_day_left_out_leaves_the_next_one_whole(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    for day in (DAY_BEFORE, DAY_AFTER):
        topic.produce(day, two_partitions())
    before, after = landed_of(DAY_BEFORE, two_partitions()), landed_of(DAY_AFTER, two_partitions())
    assert topic.delivered() == {partition: before[partition] + after[partition] for partition in (0, 1)}


def test_a_topic_with_another_number_of_partitions_gets_the_simulation_with_that_number(
    topic_of: Callable[..., Topic],
) -> None:
    topic = topic_of(3)
    topic.produce(DAY, two_partitions())
    assert topic.delivered() == landed_of(DAY, two_partitions(partitions=3))


def test_the_key_is_the_player_and_what_nobody_can_read_has_none(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    topic.produce(DAY, two_partitions())
    unreadable = 0
    for partition, messages in topic.messages().items():
        for _, key, value in messages:
            if value is None or value in UNREADABLE:
                unreadable += 1
                assert key is None
            else:
                player = json.loads(value)["player_id"]
                assert key == player.encode()
                assert int(player.removeprefix("p")) % 2 == partition
    assert unreadable > 90


def test_a_topic_that_is_made_keeps_everything_for_ever(unmade: Topic, admin: AdminClient) -> None:
    said = unmade.produce(DAY, two_partitions(), partitions=3, create=True)
    assert f"Created the topic {unmade.name}, 3 partitions" in said
    resource = ConfigResource(ResourceType.TOPIC, unmade.name)
    settings = admin.describe_configs([resource])[resource].result()
    assert settings["retention.ms"].value == "-1"
    assert settings["retention.bytes"].value == "-1"
    assert settings["cleanup.policy"].value == "delete"
    assert settings["message.timestamp.type"].value == "CreateTime"
    assert unmade.delivered() == landed_of(DAY, two_partitions(partitions=3))


def test_a_topic_that_is_there_already_needs_not_be_made(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    assert "Created" not in topic.produce(DAY, two_partitions(), create=True)


def test_the_account_names_the_offsets_that_each_partition_got(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    counts = {partition: len(found) for partition, found in landed_of(DAY_BEFORE, two_partitions()).items()}
    topic.produce(DAY_BEFORE, two_partitions())
    said = topic.produce(DAY, two_partitions())
    assert f"Published {DAY} to {topic.name}: 2,000 messages" in said
    assert "delivered from 2025-12-30T01:00:00Z to 2025-12-31T01:00:00Z" in said
    lines = [line.split() for line in said.splitlines() if "offsets" in line]
    assert lines == [
        ["partition", str(partition), "offsets", f"{count:,}", "to", f"{count + 999:,}"]
        for partition, count in counts.items()
    ]


def test_an_unknown_topic_is_named_and_not_made(unmade: Topic, admin: AdminClient) -> None:
    said = unmade.refusal_of(DAY, two_partitions())
    assert f"has no topic {unmade.name}." in said
    assert "--create-topic" in said
    assert unmade.name not in admin.list_topics(timeout=10).topics


@pytest.mark.parametrize(
    ("setting", "value", "fixed"),
    [
        ("retention.ms", "86400000", "-1"),
        ("retention.bytes", "100000", "-1"),
        ("cleanup.policy", "compact", "delete"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
    ],
)
def test_a_topic_that_would_not_keep_the_day_is_refused_with_the_command_that_mends_it(
    setting: str, value: str, fixed: str, topic_of: Callable[..., Topic]
) -> None:
    topic = topic_of(**{setting.replace(".", "_"): value})
    said = topic.refusal_of(DAY, two_partitions())
    assert f"The topic {topic.name} would not keep the day: {setting}={value} " in said
    assert f"--entity-name {topic.name} --add-config {setting}={fixed}" in said
    assert topic.messages() == {0: [], 1: []}


def test_a_topic_that_expires_long_after_the_day_will_do(topic_of: Callable[..., Topic]) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=2)
    topic = topic_of(retention_ms=7 * 86_400_000, retention_bytes=10**9)
    topic.produce(yesterday, two_partitions())
    assert topic.delivered() == landed_of(yesterday, two_partitions())


@pytest.mark.parametrize("day", [DAY_BEFORE, DAY])
def test_a_day_that_is_there_or_older_than_the_newest_message_is_refused(
    day: date, topic_of: Callable[..., Topic]
) -> None:
    topic = topic_of()
    topic.produce(DAY, two_partitions())
    held = topic.messages()
    said = topic.refusal_of(day, two_partitions())
    newest = max(found[-1][0] for found in held.values())
    assert f"holds messages up to {datetime.fromtimestamp(newest // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" in said
    assert f"so {day} is there already or would come too late" in said
    assert topic.messages() == held


def test_a_message_stamped_in_the_year_2100_is_named(broker: Broker, topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(message_timestamp_after_max_ms=2**62)
    send(broker, topic.name, [(1, None, b"early bird", YEAR_2100_MS)])
    said = topic.refusal_of(DAY, two_partitions())
    assert "holds messages up to 2100-01-01T00:00:00Z (partition 1, offset 0)" in said


def test_messages_of_others_from_long_before_the_day_do_no_harm(broker: Broker, topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    send(broker, topic.name, [(1, None, b"old", 1_600_000_000_000)])
    topic.produce(DAY, two_partitions())
    expected = landed_of(DAY, two_partitions())
    assert topic.delivered() == {0: expected[0], 1: [(1_600_000_000_000, b"old"), *expected[1]]}


def test_a_day_does_not_go_on_where_other_settings_ended(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    topic.produce(DAY_BEFORE, two_partitions())
    held = topic.messages()
    said = topic.refusal_of(DAY, two_partitions(seed=8))
    assert f"not the whole day before {DAY} as these settings simulate it" in said
    assert topic.messages() == held


def test_another_number_of_partitions_than_the_topic_has_is_refused(topic_of: Callable[..., Topic]) -> None:
    said = topic_of().refusal_of(DAY, two_partitions(), partitions=3)
    assert "has 2 partitions, not 3" in said


def test_messages_that_the_topic_refuses_fail_the_day(topic_of: Callable[..., Topic]) -> None:
    said = topic_of(max_message_bytes=100).refusal_of(DAY, two_partitions())
    assert "Kafka did not take all messages: MSG_SIZE_TOO_LARGE" in said
    assert "--create-topic" in said


class IntruderAtTheFirstLine(StringIO):
    """Output during which somebody else sends a message to the topic, once."""

    def __init__(self, broker: Broker, topic: str) -> None:
        super().__init__()
        self._broker = broker
        self._topic = topic
        self._came = False

    def write(self, text: str) -> int:
        if not self._came:
            self._came = True
            send(self._broker, self._topic, [(0, None, b"intruder", 1)])
        return super().write(text)


def test_a_topic_to_which_somebody_else_writes_meanwhile_fails_the_day(unmade: Topic) -> None:
    console = Console(file=IntruderAtTheFirstLine(unmade.broker, unmade.name), width=200)
    target = KafkaSettings(unmade.broker.bootstrap_servers, unmade.name)
    with pytest.raises(GameAnalyticsError, match=r"partition 0 by \+1\. Another program"):
        produce_day(console, target, DAY, two_partitions(), partitions=None, create=True)


def test_wrong_credentials_are_told_without_the_password(broker: Broker) -> None:
    properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "reader",
        "sasl.password": "guessed",
    }
    target = KafkaSettings(
        broker.sasl_bootstrap_servers, "game-events", properties, answers_within=timedelta(seconds=2)
    )
    with pytest.raises(GameAnalyticsError, match=r"_AUTHENTICATION: .*--config-file") as told:
        produce_day(Console(file=StringIO()), target, DAY, two_partitions(), partitions=None, create=True)
    assert not isinstance(told.value, Unavailable)
    assert "guessed" not in str(told.value)


def test_the_command_publishes_by_its_words(unmade: Topic, tmp_path: Path) -> None:
    properties = tmp_path / "kafka.properties"
    properties.write_text("# smaller batches\nbatch.num.messages=100\n")
    words = f"produce --bootstrap-servers {unmade.broker.bootstrap_servers} --topic {unmade.name} --day {DAY} "
    words += (
        f"--events 2000 --seed 3 --malformed-share 0 --repeated-share 0.2 --late-share 0.01 --config-file {properties}"
    )
    result = CliRunner().invoke(main, [*words.split(), "--create-topic", "--partitions", "1"])
    assert result.exit_code == 0, result.output
    assert unmade.delivered() == landed_of(
        DAY,
        Simulation(seed=3, events_per_day=2_000, partitions=1, malformed_share=0, repeated_share=0.2, late_share=0.01),
    )


def test_an_interrupted_day_says_how_far_it_came_and_how_to_go_on(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(1)
    servers = topic.broker.bootstrap_servers
    words = ["produce", "--bootstrap-servers", servers, "--topic", topic.name, "--day", str(DAY), "--events", "5000000"]
    with (
        subprocess.Popen(  # noqa: S603 - our own command
            [Path(sys.executable).parent / "game-analytics", *words],
            env={"PATH": os.defpath},
            stderr=subprocess.PIPE,
            text=True,
        ) as command,
        closing(Consumer({"bootstrap.servers": servers, "group.id": "test"})) as consumer,
    ):
        consumer.assign([TopicPartition(topic.name, 0, 0)])
        end = time.monotonic() + 30
        # An error is no message: it may come before the first one does.
        while (message := consumer.poll(1)) is None or message.error() is not None:
            assert time.monotonic() < end, "nothing was sent within 30 s"
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=30)
        held = consumer.get_watermark_offsets(TopicPartition(topic.name, 0), timeout=10)[1]
    assert command.returncode == 1
    told = re.search(rf"Interrupted after about ([0-9,]+) messages; {DAY} has 5,1", said)
    assert told is not None, said
    assert abs(int(told[1].replace(",", "")) - held) <= 20_000
    assert f"--delete --topic {topic.name}" in said


def test_a_day_goes_into_a_topic_that_was_purged_of_all(topic_of: Callable[..., Topic], admin: AdminClient) -> None:
    """Though the broker goes on telling the newest message that the topic ever had, until it has tidied up."""
    topic = topic_of()
    topic.produce(DAY_AFTER, two_partitions())
    ends = topic.ends()
    for partition, end in ends.items():
        delete_before(admin, topic.name, partition, end)
    topic.produce(DAY, two_partitions())
    expected = landed_of(DAY, two_partitions())
    assert topic.ends() == {partition: end + len(expected[partition]) for partition, end in ends.items()}
    assert topic.delivered(ends) == expected


def test_what_is_left_after_a_purge_keeps_an_older_day_out(topic_of: Callable[..., Topic], admin: AdminClient) -> None:
    topic = topic_of()
    topic.produce(DAY_AFTER, two_partitions())
    for partition, end in topic.ends().items():
        delete_before(admin, topic.name, partition, end - 1)
    assert "would come too late" in topic.refusal_of(DAY, two_partitions())
