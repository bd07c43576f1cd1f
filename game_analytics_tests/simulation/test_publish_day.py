"""`game-analytics produce` if no broker answers, and with arguments that are refused without asking one."""

import time
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from game_analytics.cli.main import main
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.ports import free_ports
from game_analytics.simulation.publish_day import produce_day
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings

DAY = "2025-12-30"


def unused_server() -> str:
    """A bootstrap server on a port that is not in use."""
    return f"127.0.0.1:{free_ports(1)[0]}"


def refusal_of(*words: str) -> str:
    """The output of a command that fails without contacting a broker."""
    result = CliRunner().invoke(main, ["produce", *words])
    assert result.exit_code != 0
    return result.output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--day", DAY], "Missing option '--bootstrap-servers'"),
        (["--bootstrap-servers", "", "--day", DAY], "--bootstrap-servers or --topic is empty"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--topic", ""], "--bootstrap-servers or --topic is empty"),
        (["--bootstrap-servers", "kafka://kafka:9092", "--day", DAY], "--bootstrap-servers names 'kafka://kafka:9092'"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--topic", "a,b"], "--topic is 'a,b'; the name of one"),
        (["--bootstrap-servers", "kafka:9092", "--follow", "--topic", "^a.*"], "--topic is '^a.*'; the name of one"),
        (["--bootstrap-servers", "kafka:9092"], "Missing option '--day'"),
        (["--bootstrap-servers", "kafka:9092", "--day", "30.12.2025"], "'30.12.2025' does not match"),
        (["--bootstrap-servers", "kafka:9092", "--day", "2023-12-31"], "2023-12-31 is before 2024-01-01"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--late-share", "0.5"], "late_share is 0.5"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--events", "100"], "events_per_day is 100"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--partitions", "101"], "partitions is 101"),
        (["--bootstrap-servers", "kafka:9092", "--day", DAY, "--events", "1000", "--partitions", "6"], "at least 1200"),
    ],
)
def test_invalid_arguments_are_refused_before_a_broker_is_contacted(words: list[str], complaint: str) -> None:
    assert complaint in refusal_of(*words)


def test_a_day_that_is_not_over_is_refused() -> None:
    today = datetime.now(UTC).date()
    output = refusal_of("--bootstrap-servers", "kafka:9092", "--day", str(today))
    assert f"{today} is not over: its last messages are delivered until {today + timedelta(days=1)}T01:00:00Z" in output


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "kafka.properties"
    output = refusal_of("--bootstrap-servers", "kafka:9092", "--day", DAY, "--config-file", str(missing))
    assert str(missing) in output


def test_a_cluster_that_does_not_answer_is_reported_in_time_with_the_reason() -> None:
    servers = unused_server()
    target = KafkaSettings(servers, "game-events", answers_within=timedelta(seconds=1))
    started = time.monotonic()
    with pytest.raises(Unavailable) as error:
        produce_day(Console(file=StringIO()), target, date(2025, 12, 30), Simulation(), partitions=None, create=True)
    assert time.monotonic() - started < 10
    assert f"Kafka at {servers} does not answer" in str(error.value)
    assert "Connection refused" in str(error.value)
    assert "--bootstrap-servers" in str(error.value)


def test_a_request_times_out_within_the_documented_fifteen_seconds() -> None:
    assert KafkaSettings("kafka:9092", "game-events").answers_within < timedelta(seconds=15)


def test_an_unknown_property_is_named_without_its_value() -> None:
    target = KafkaSettings(unused_server(), "game-events", {"sasl.pasword": "hunter2"})
    with pytest.raises(GameAnalyticsError, match=r'No such configuration property: "sasl\.pasword"') as error:
        produce_day(Console(file=StringIO()), target, date(2025, 12, 30), Simulation(), partitions=None, create=True)
    assert "--config-file" in str(error.value)
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(target)
