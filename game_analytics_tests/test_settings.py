"""What the environment says, read without Dagster."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.settings import Settings, read_settings


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def settings_of(**variables: str) -> Settings:
    with environment(variables):
        return read_settings()


def faults_of(**variables: str) -> list[str]:
    with environment(variables), pytest.raises(GameAnalyticsError) as refused:
        read_settings()
    return str(refused.value).splitlines()


def test_without_any_variable_the_contracts_defaults_hold() -> None:
    settings = settings_of()
    assert settings.bucket == "game-analytics"
    assert (settings.lateness_minutes, settings.min_engagements) == (60, 0)
    assert (settings.workers, settings.slice_messages, settings.kafka_patience_seconds) == (0, 250_000, 120)
    assert (settings.volume_percent, settings.quarantine_percent) == (50, 1)
    assert settings.kafka_bootstrap_servers is None
    assert settings.simulation is None
    assert settings.alert_webhook is None
    assert settings.ui_url == "http://127.0.0.1:3000"


def test_all_faults_are_reported_at_once_each_with_its_variable() -> None:
    assert faults_of(
        GAME_ANALYTICS_WORKERS="two",
        GAME_ANALYTICS_LATENESS_MINUTES="7201",
        GAME_ANALYTICS_SIMULATION="yes",
        KAFKA_BOOTSTRAP_SERVERS="kafka:9092",
        KAFKA_TOPIC="kills,deaths",
        POSTGRES_PORT="0",
    ) == [
        "GAME_ANALYTICS_LATENESS_MINUTES is '7201'; a whole number from 0 to 7,200 is expected.",
        "GAME_ANALYTICS_WORKERS is 'two'; a whole number from 0 to 1,000 is expected.",
        "GAME_ANALYTICS_SIMULATION is 'yes'; `allow` or nothing is expected.",
        (
            "KAFKA_TOPIC is 'kills,deaths'; the name of one topic is expected, neither a list nor a pattern: letters, "
            "digits, `.`, `_` and `-`, at most 249. Name the topic that holds the events."
        ),
        "POSTGRES_PORT is '0'; a whole number from 1 to 65,535 is expected.",
    ]


@pytest.mark.parametrize("text", ["1_0", "+1", "1.0", "٣", "1e1", "0x1", "9" * 20])
def test_a_number_is_written_in_ascii_digits_alone(text: str) -> None:
    assert faults_of(GAME_ANALYTICS_WORKERS=text) == [
        f"GAME_ANALYTICS_WORKERS is {text!r}; a whole number from 0 to 1,000 is expected."
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("PlayerKill, frag,,", ("PlayerKill", "frag")),
        (" ", ()),
        ('["KILL ", "a,b"]', ("KILL ", "a,b")),
        ("[]", ()),
    ],
)
def test_names_of_types_are_separated_by_commas_or_a_json_list(text: str, names: tuple[str, ...]) -> None:
    assert settings_of(GAME_ANALYTICS_KILL_TYPES=text).kill_types == names


def test_names_of_types_that_are_neither_or_stand_for_both_are_refused() -> None:
    assert faults_of(GAME_ANALYTICS_DEATH_TYPES="[1]") == [
        "GAME_ANALYTICS_DEATH_TYPES is '[1]'; names separated by commas, or a JSON list of names, is expected."
    ]
    [fault] = faults_of(GAME_ANALYTICS_KILL_TYPES="frag", GAME_ANALYTICS_DEATH_TYPES="fall,frag")
    assert fault.startswith(
        "GAME_ANALYTICS_KILL_TYPES and GAME_ANALYTICS_DEATH_TYPES contradict each other: 'frag' would stand for KILL "
        "and for DEATH."
    )


def test_blanks_are_dropped_but_those_of_a_password() -> None:
    settings = settings_of(GAME_ANALYTICS_WORKERS=" 7 ", GAME_ANALYTICS_BUCKET="  ", POSTGRES_PASSWORD=" a b ")
    assert (settings.workers, settings.bucket) == (7, "game-analytics")
    assert settings.postgres_password.get_secret_value() == " a b "


def test_the_password_of_a_url_that_was_given_for_servers_is_not_repeated() -> None:
    [fault] = faults_of(KAFKA_BOOTSTRAP_SERVERS="kafka://ann:hush@kafka.invalid:9092")
    assert fault.startswith("KAFKA_BOOTSTRAP_SERVERS names ")
    assert "hush" not in fault


def test_secrets_do_not_show() -> None:
    settings = settings_of(GAME_ANALYTICS_ALERT_WEBHOOK="https://hooks.invalid/hush", POSTGRES_PASSWORD="hush")
    assert "hush" not in f"{settings!r} {settings}"


SHOW_MODULES = """
import sys
from click.testing import CliRunner
from game_analytics.cli.main import main
result = CliRunner().invoke(main, sys.argv[1:])
print(result.output)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"dagster", "confluent_kafka"}), sep=",")
"""


@pytest.mark.parametrize(
    "words", ["--help", "demo --help", "produce --help", "show 2025-12-30", "quarantine 2025-12-30", "prepare"]
)
def test_what_needs_neither_dagster_nor_kafka_imports_neither(words: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", SHOW_MODULES, *words.split(), *(["--wait-seconds", "0"] if words == "prepare" else [])],
        env={"PATH": os.defpath, "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *output, imported = done.stdout.splitlines()
    assert imported == ""
    assert any("Usage:" in line or "No AWS credentials were found" in line for line in output)
