"""`make stack` runs what compose runs: the same commands, variables of the same names, the same files of Dagster's."""

from pathlib import Path

import pytest

from game_analytics.local_stack.stack import PREPARE, SERVICES, TOPIC, StackSettings, producer
from game_analytics_tests.support.deployment import DAGSTER, FOLDER, environment_of, instructions, services

PROGRAM = "game-analytics"


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(tmp_path, FOLDER, "game-analytics")


def given_by_the_image() -> set[str]:
    """The variables that the Dockerfile sets for Dagster."""
    words = [word for found in instructions() if found.name == "ENV" for word in found.words.split()]
    return {word.partition("=")[0] for word in words if word.startswith("DAGSTER_")}


def test_the_three_services_are_the_same_commands() -> None:
    assert {name: [PROGRAM, *words] for name, words in SERVICES.items()} == {
        name: services()[name]["command"] for name in DAGSTER
    }


def test_what_prepares_and_what_publishes_are_the_same_commands() -> None:
    assert services()["prepare"]["command"] == [PROGRAM, *PREPARE]
    assert services()["producer"]["command"] == [PROGRAM, *producer("kafka:9092")]


def test_the_services_find_variables_of_the_same_names(settings: StackSettings) -> None:
    in_containers = {name for service in DAGSTER for name in environment_of(service)} | given_by_the_image()
    assert settings.variables().keys() == in_containers


@pytest.mark.parametrize("name", ["POSTGRES_USER", "POSTGRES_DB", "KAFKA_TOPIC", "AWS_DEFAULT_REGION"])
def test_what_does_not_depend_on_the_machine_is_the_same(settings: StackSettings, name: str) -> None:
    assert settings.variables()[name] == environment_of("code")[name]
    assert environment_of("code")["KAFKA_TOPIC"] == TOPIC


def test_the_ports_are_those_that_compose_publishes(settings: StackSettings) -> None:
    published = {name: found["ports"][0].split(":")[1] for name, found in services().items() if "ports" in found}
    assert published == {
        "webserver": str(settings.ui_port),
        "s3": str(settings.s3_port),
        "kafka": str(settings.kafka_port),
    }


def test_dagster_finds_the_files_of_the_image(settings: StackSettings) -> None:
    copied = [found.words for found in instructions() if found.name == "COPY" and "dagster.yaml" in found.words]
    assert copied == ["deploy/dagster.yaml deploy/workspace.yaml ./"]
    assert [name for name in ("dagster.yaml", "workspace.yaml") if not (settings.deployment / name).is_file()] == []
