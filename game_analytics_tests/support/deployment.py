"""The files of the deployment as tests read them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
FOLDER = ROOT / "deploy"
EXAMPLE = FOLDER / "secrets.env.example"

DAGSTER = ("code", "webserver", "daemon")
"""The services that run Dagster."""
PROJECT = ("prepare", *DAGSTER, "producer")
"""The services that use the project's image."""


def compose() -> dict[str, Any]:
    return cast("dict[str, Any]", yaml.safe_load(COMPOSE.read_text()))


def services() -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", compose()["services"])


def example_secrets() -> dict[str, str]:
    """What the example file sets."""
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(cast("tuple[str, str]", tuple(line.split("=", 1))) for line in lines)


def environment_of(service: str) -> dict[str, str]:
    """The environment of a service's container, with the example's secrets."""
    found = services()[service]
    return {**(example_secrets() if found["env_file"] else {}), **found["environment"]}


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile: ``COPY`` and what follows it."""

    name: str
    words: str


def instructions() -> list[Instruction]:
    """Those of the Dockerfile, in their order, each on one line and without comments."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    found = [re.split(r"\s+", line.strip(), maxsplit=1) for line in text.splitlines() if line.strip()]
    return [Instruction(name.upper(), " ".join(words.split())) for name, words in found]
