"""Runs `stack` in another process as a user would, with access to its output, logs, UI and lake; always stops it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.kafka_broker import find_kafka
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.postgres import find_postgres
from game_analytics.local_stack.seaweedfs import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from game_analytics.local_stack.stack import TOPIC, StackSettings
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.processes import descendants
from game_analytics_tests.support.requirements import required

PROJECT = Path(__file__).parents[2]


_PROGRAM = Path(sys.executable).with_name("game-analytics")


EVENTS = 6_000
"""Messages of a day that is produced."""


def days_ago(days: int) -> date:
    """A day that is over, as the schedule looks back."""
    return (datetime.now(UTC) - timedelta(days=days)).date()


@dataclass(frozen=True)
class RunningStack:
    """A stack under test."""

    folder: Path
    settings: StackSettings
    process: subprocess.Popen[bytes]

    @property
    def terminal(self) -> str:
        """Its output so far."""
        return (self.folder / "terminal").read_text()

    @property
    def bootstrap_servers(self) -> str:
        return self.settings.variables()["KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def history(self) -> str:
        """Where PostgreSQL is, as its drivers want to be response."""
        given = self.settings.variables()
        names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "DB"}
        return " ".join(f"{name}={given[f'POSTGRES_{variable}']}" for name, variable in names.items())

    def log_of(self, service: str) -> str:
        return (self.settings.logs / f"{service}.log").read_text(errors="replace")

    def pid_of(self, words: str) -> int:
        """The process with these words in its command."""
        found = [
            each.pid
            for each in descendants(self.process.pid)
            if words in each.command and "tether.py" not in each.command
        ]
        assert len(found) == 1, f"{len(found)} processes with {words!r}"
        return found[0]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.terminal
        return "Dagster UI      " in self.terminal

    def lake(self) -> Lake:
        url = self.settings.variables()["AWS_ENDPOINT_URL"]
        return lake_at(S3Endpoint(url, ACCESS_KEY_ID, SECRET_ACCESS_KEY), self.settings.bucket).open()

    def graphql(self, query: str, **variables: object) -> dict[str, Any]:
        """The data of a GraphQL query."""
        asked = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.settings.ui_url}/graphql", asked, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            response: dict[str, Any] = json.load(answer)
        assert "errors" not in response, response
        data: dict[str, Any] = response["data"]
        return data

    def produce(self, day: date) -> None:
        """Publish a simulated day, as a user does."""
        where = ["--bootstrap-servers", self.bootstrap_servers, "--topic", TOPIC]
        command = [str(_PROGRAM), "produce", *where, "--day", day.isoformat(), "--events", str(EVENTS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """An empty folder that PostgreSQL's user may enter as well, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_stack(*options: str) -> Iterator[RunningStack]:
    """Start it as a terminal would, and end it when the block ends."""
    required(find_kafka)
    required(find_postgres)
    ui, s3, kafka, postgres, code = free_ports(5)
    names = {"port": ui, "s3-port": s3, "kafka-port": kafka, "postgres-port": postgres, "code-port": code}
    command = [str(_PROGRAM), "stack", *(f"--{name}={port}" for name, port in names.items()), *options]
    with folder_for_all() as folder, (folder / "terminal").open("wb") as output:
        (folder / "deploy").symlink_to(PROJECT / "deploy")
        settings = StackSettings(
            folder / ".local" / "stack", folder / "deploy", "game-analytics", ui, s3, kafka, postgres, code
        )
        process = subprocess.Popen(command, cwd=folder, env=_environment(), stdout=output, stderr=output)  # noqa: S603
        try:
            yield RunningStack(folder, settings, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=90)


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KAFKA_", "DAGSTER_"))}
