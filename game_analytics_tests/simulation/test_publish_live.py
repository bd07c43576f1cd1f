"""`game-analytics produce --follow` without a broker: which messages are due when, and invalid arguments."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from click.testing import CliRunner
from rich.console import Console

from game_analytics.cli.main import main
from game_analytics.errors import Unavailable
from game_analytics.local_stack.ports import free_ports
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.publish_live import Pace, due, follow_matches
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics_tests.support.samples import utc
from game_analytics_tests.support.topics import Delivered, in_memory, two_partitions

START = utc("2025-12-29 23:55")
HEARTBEAT = utc("2025-12-30 00:00")


def position_at(simulation: Simulation, instant: datetime) -> dict[int, int]:
    found = MemoryEventLog(simulation, clock=lambda: instant + timedelta(days=1)).first_at_or_after(instant)
    return {partition: first.offset for partition, first in found.items() if first is not None}


def due_by(simulation: Simulation, position: dict[int, int], now: datetime) -> dict[int, list[Delivered]]:
    """Timestamp and value of each message, by partition."""
    found: dict[int, list[Delivered]] = {partition: [] for partition in position}
    for batch in due(simulation, position, now):
        for partition, timestamp, value in batch.select("partition", "timestamp", "value").iter_rows():
            found[partition].append((timestamp, value))
    return found


@pytest.mark.parametrize(
    "now", ["2025-12-29 23:55", "2025-12-30 00:00", "2025-12-30 00:17:23.456789", "2025-12-31 03:00"]
)
def test_due_messages_are_those_that_the_in_memory_log_has_delivered_since(now: str) -> None:
    simulation = two_partitions()
    position = position_at(simulation, START)
    assert due_by(simulation, position, utc(now)) == in_memory(simulation, START, utc(now))


def test_each_partition_resumes_at_its_own_offset() -> None:
    simulation = two_partitions()
    all_of_it = in_memory(simulation, START, utc("2025-12-30 06:00"))
    sent = {0: 17, 1: 240}
    position = {partition: first + sent[partition] for partition, first in position_at(simulation, START).items()}
    assert due_by(simulation, position, utc("2025-12-30 06:00")) == {
        partition: messages[sent[partition] :] for partition, messages in all_of_it.items()
    }


def test_a_message_is_due_when_its_millisecond_is_over() -> None:
    """The heartbeat is delivered on the hour, before anything else."""
    position = position_at(two_partitions(), HEARTBEAT)
    assert due_by(two_partitions(), position, HEARTBEAT) == {0: [], 1: []}
    a_moment_later = due_by(two_partitions(), position, HEARTBEAT + timedelta(microseconds=1))
    heartbeat_ms = round(HEARTBEAT.timestamp() * 1000)
    assert {partition: [at for at, _ in found] for partition, found in a_moment_later.items()} == {
        0: [heartbeat_ms],
        1: [heartbeat_ms],
    }


def test_due_messages_are_in_the_order_of_delivery_so_that_no_partition_is_far_ahead() -> None:
    position = position_at(two_partitions(), START)
    stamps = [at for batch in due(two_partitions(), position, utc("2025-12-30 06:00")) for at in batch["timestamp"]]
    assert len(stamps) > 200
    assert stamps == sorted(stamps)


def test_nothing_is_due_while_the_clock_is_before_the_next_message() -> None:
    position = position_at(two_partitions(), HEARTBEAT)
    assert due_by(two_partitions(), position, utc("2025-12-28 12:00")) == {0: [], 1: []}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--follow --day 2025-12-30", "Only one of '--day' and '--follow'"),
        ("", "Missing option '--day', or '--follow'"),
        ("--day 2025-12-30 --days 3", "'--days' is for '--follow' alone"),
        ("--follow --days -1", "-1 is not in the range"),
        ("--follow --days 99999999999", "99999999999 days ago is before 2024-01-01"),
        ("--follow --partitions 101", "partitions is 101"),
        ("--follow --topic=", "--bootstrap-servers or --topic is empty"),
    ],
)
def test_invalid_arguments_are_refused_before_a_broker_is_contacted(words: str, complaint: str) -> None:
    result = CliRunner().invoke(main, ["produce", "--bootstrap-servers", "kafka:9092", *words.split()])
    assert result.exit_code != 0
    assert complaint in result.output


def test_the_first_simulated_day_is_accepted_and_the_day_before_is_refused() -> None:
    days = (datetime.now(UTC).date() - datetime(2024, 1, 1, tzinfo=UTC).date()).days
    for more, complaint in ((0, "--bootstrap-servers or --topic is empty"), (1, f"{days + 1} days ago is before")):
        words = ["--bootstrap-servers", "", "--follow", "--days", str(days + more)]
        assert complaint in CliRunner().invoke(main, ["produce", *words]).output


def test_a_cluster_that_does_not_answer_at_the_start_is_reported() -> None:
    servers = f"127.0.0.1:{free_ports(1)[0]}"
    target = KafkaSettings(servers, "game-events", answers_within=timedelta(seconds=1))
    with pytest.raises(Unavailable, match=f"Kafka at {servers} does not answer"):
        follow_matches(
            Console(file=StringIO()), target, Simulation(), days=1, partitions=None, create=True, pace=Pace()
        )
