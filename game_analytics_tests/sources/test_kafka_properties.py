"""The file of librdkafka properties: its format, and refusals that name file and line but nothing that stands there."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from game_analytics.defs.resources import KafkaEventLogResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.properties import CLIENT_DEFAULTS, CONSUMER_DEFAULTS, READING, read_properties

SECRET = "hunter2"


def file_of(folder: Path, content: str | bytes) -> Path:
    path = folder / "kafka.properties"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal_of(path: Path) -> str:
    """The one line that reading the file fails with, which holds no secret."""
    with pytest.raises(GameAnalyticsError) as refused:
        read_properties(path)
    text = str(refused.value)
    assert SECRET not in text
    assert "\n" not in text
    # A stack trace in a log would show what the error came from.
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text


@pytest.mark.parametrize(
    ("content", "properties"),
    [
        ("", {}),
        ("# nothing but words\n\n   \n", {}),
        ("sasl.username=ann", {"sasl.username": "ann"}),
        ("sasl.username=ann\nsasl.mechanism=PLAIN\n", {"sasl.username": "ann", "sasl.mechanism": "PLAIN"}),
        ("  sasl.username =\tann  \r\n", {"sasl.username": "ann"}),
        ("  # sasl.username=ben\nsasl.username=ann\n", {"sasl.username": "ann"}),
        ("sasl.password=a=b==\n", {"sasl.password": "a=b=="}),
        ("sasl.password=#1\n", {"sasl.password": "#1"}),
        ("sasl.password=two words # and no comment\n", {"sasl.password": "two words # and no comment"}),
        ('sasl.password="quoted"\n', {"sasl.password": '"quoted"'}),
        ("sasl.password=pässword\n", {"sasl.password": "pässword"}),
        ("ssl.ca.location=\n", {}),  # its default
        ("group.id=\n", {}),  # with none at all, the client would abort the process
        ("\ufeffsasl.username=ann\n", {"sasl.username": "ann"}),  # as editors on Windows begin a file
    ],
)
def test_a_line_sets_a_property(tmp_path: Path, content: str, properties: Mapping[str, str]) -> None:
    assert read_properties(file_of(tmp_path, content)) == properties


@pytest.mark.parametrize(
    "line",
    [
        SECRET,
        f"={SECRET}",
        f"  = {SECRET}",
        f"sasl.password:{SECRET}",
        f"[{SECRET}]",
        f"sasl.password {SECRET}=3",
        f"sasl.password: {SECRET}=3",
    ],
)
def test_a_line_that_sets_nothing_is_told_by_its_number_alone(tmp_path: Path, line: str) -> None:
    path = file_of(tmp_path, f"# ours\n\nsasl.username=ann\n{line}\n")
    assert refusal_of(path) == f"{path}, line 4: `name=value` was expected. Fix the line."


def test_a_key_pasted_over_several_lines_is_refused_at_its_second_one(tmp_path: Path) -> None:
    path = file_of(tmp_path, f"ssl.key.pem=-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
    assert refusal_of(path).startswith(f"{path}, line 2: ")


def test_a_property_that_is_set_twice_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, f"sasl.password=other\n#\nsasl.password = {SECRET}\n")
    assert refusal_of(path) == f"{path}, line 3: sasl.password is set twice. Remove one of the two."


@pytest.mark.parametrize("name", [*READING, "bootstrap.servers", "metadata.broker.list"])
def test_what_makes_reading_complete_is_not_for_the_file_to_set(tmp_path: Path, name: str) -> None:
    path = file_of(tmp_path, f"{name}={SECRET}\n")
    assert refusal_of(path) == f"{path}, line 1: {name} is not for this file to set. Remove the line."


@pytest.mark.parametrize("name", ["stats_cb", "oauth_cb", "throttle_cb", "default.topic.config"])
def test_what_the_client_takes_only_from_a_program_is_not_for_the_file_to_set(tmp_path: Path, name: str) -> None:
    assert refusal_of(file_of(tmp_path, f"{name}=x\n")).startswith(f"{tmp_path / 'kafka.properties'}, line 1: {name} ")


@pytest.mark.parametrize("name", ["security.protocol", "partition.assignment.strategy", "fetch.min.bytes"])
def test_a_value_that_the_client_refuses_is_not_repeated(tmp_path: Path, name: str) -> None:
    resource = resource_with(file_of(tmp_path, f"{name}={SECRET}\n"))
    with pytest.raises(GameAnalyticsError, match=re.escape(name)) as refused:
        resource.open()
    assert SECRET not in str(refused.value)


def test_reading_is_what_the_contract_says() -> None:
    assert READING["auto.offset.reset"] == "error"
    assert READING["isolation.level"] == "read_committed"
    assert READING["enable.auto.commit"] == "false"
    assert READING["enable.partition.eof"] == "true"


@pytest.mark.parametrize("name", [*CLIENT_DEFAULTS, *CONSUMER_DEFAULTS])
def test_each_default_may_be_changed(tmp_path: Path, name: str) -> None:
    assert read_properties(file_of(tmp_path, f"{name}=5\n")) == {name: "5"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert refusal_of(path).startswith(f"The file of Kafka properties, {path}, can't be read: No such file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert refusal_of(tmp_path).startswith(f"The file of Kafka properties, {tmp_path}, can't be read: Is a directory")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, b"sasl.password=" + SECRET.encode() + b"\xff\n")
    assert refusal_of(path).startswith(f"The file of Kafka properties, {path}, can't be read: it is no text in UTF-8.")


def resource_with(file: Path | None) -> KafkaEventLogResource:
    return KafkaEventLogResource(
        bootstrap_servers="127.0.0.1:9092", topic="events", config_file=None if file is None else str(file)
    )


def test_the_file_is_read_when_the_log_is_opened_and_not_before(tmp_path: Path) -> None:
    resource = resource_with(tmp_path / "kafka.properties")  # not there yet
    path = file_of(tmp_path, "sasl.username=ann\n")
    assert resource.settings().properties == {"sasl.username": "ann"}
    path.write_text("sasl.username=ben\n")
    assert resource.settings().properties == {"sasl.username": "ben"}


def test_without_a_file_there_are_no_further_properties() -> None:
    assert resource_with(None).settings().properties == {}


def test_neither_resource_nor_settings_show_what_the_file_says(tmp_path: Path) -> None:
    resource = resource_with(file_of(tmp_path, f"sasl.password={SECRET}\n"))
    settings = resource.settings()
    assert settings.properties["sasl.password"] == SECRET
    for shown in (repr(resource), str(resource), repr(settings), str(settings), resource.model_dump_json()):
        assert SECRET not in shown
