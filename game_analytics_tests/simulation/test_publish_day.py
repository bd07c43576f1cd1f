"""`game-analytics produce` where no broker answers, and where none is asked."""

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


def nobody() -> str:
    """A bootstrap server that nothing listens on."""
    return f"127.0.0.1:{free_ports(1)[0]}"


def refusal_of(*words: str) -> str:
    """What the command says instead of asking a broker."""
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
def test_words_that_make_no_sense_are_refused_before_anybody_is_asked(words: list[str], complaint: str) -> None:
    assert complaint in refusal_of(*words)


def test_a_day_whose_last_messages_are_still_to_come_is_refused() -> None:
    today = datetime.now(UTC).date()
    said = refusal_of("--bootstrap-servers", "kafka:9092", "--day", str(today))
    assert f"{today} is not over: its last messages are delivered until {today + timedelta(days=1)}T01:00:00Z" in said


def test_a_config_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "kafka.properties"
    said = refusal_of("--bootstrap-servers", "kafka:9092", "--day", DAY, "--config-file", str(missing))
    assert str(missing) in said


def test_a_cluster_that_does_not_answer_is_named_with_the_reason_and_in_time() -> None:
    servers = nobody()
    target = KafkaSettings(servers, "game-events", answers_within=timedelta(seconds=1))
    started = time.monotonic()
    with pytest.raises(Unavailable) as told:
        produce_day(Console(file=StringIO()), target, date(2025, 12, 30), Simulation(), partitions=None, create=True)
    assert time.monotonic() - started < 10
    assert f"Kafka at {servers} does not answer" in str(told.value)
    assert "Connection refused" in str(told.value)
    assert "--bootstrap-servers" in str(told.value)


def test_a_question_may_take_less_than_the_fifteen_seconds_that_are_promised() -> None:
    assert KafkaSettings("kafka:9092", "game-events").answers_within < timedelta(seconds=15)


def test_a_property_that_does_not_exist_is_named_and_no_secret_is_told() -> None:
    target = KafkaSettings(nobody(), "game-events", {"sasl.pasword": "hunter2"})
    with pytest.raises(GameAnalyticsError, match=r'No such configuration property: "sasl\.pasword"') as told:
        produce_day(Console(file=StringIO()), target, date(2025, 12, 30), Simulation(), partitions=None, create=True)
    assert "--config-file" in str(told.value)
    assert "hunter2" not in str(told.value)
    assert "hunter2" not in repr(target)
