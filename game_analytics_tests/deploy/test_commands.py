"""What the three services become in the environment that compose gives them: Dagster reads its variables itself."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from click import Command
from dagster._cli.api import grpc_command
from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.cli import run_command
from dagster_shared.cli import WorkspaceOpts
from dagster_webserver.cli import dagster_webserver

from game_analytics.cli.serve import SERVICES
from game_analytics.local_stack.environment import without_settings
from game_analytics.local_stack.ports import free_ports
from game_analytics_tests.support.deployment import FOLDER, environment_of, services

PROGRAMS = Path(sys.executable).parent


def parsed(command: Command, service: str, prefix: str, skipped: int) -> Mapping[str, object]:
    """What the service's command comes to in the service's environment; ``skipped`` words only choose the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", without_settings(os.environ) | environment_of(service))
        words = list(SERVICES[service].command[skipped:])
        return command.make_context(service, words, auto_envvar_prefix=prefix).params


def test_the_code_location_serves_the_definitions_to_other_containers() -> None:
    options = parsed(grpc_command, "code", "DAGSTER_CLI_API_GRPC", skipped=3)
    assert (options["host"], options["port"]) == ("0.0.0.0", 4000)  # noqa: S104
    assert options["module_name"] == "game_analytics.definitions"


def test_the_webserver_listens_where_compose_publishes_it() -> None:
    options = parsed(dagster_webserver, "webserver", "DAGSTER_WEBSERVER", skipped=1)
    assert (options["host"], options["port"]) == ("0.0.0.0", 3000)  # noqa: S104
    assert options["read_only"] is False


@pytest.mark.parametrize(
    ("command", "service", "skipped"), [(dagster_webserver, "webserver", 1), (run_command, "daemon", 2)]
)
def test_with_no_word_about_it_they_take_the_workspace_that_lies_where_they_run(
    monkeypatch: pytest.MonkeyPatch, command: Command, service: str, skipped: int
) -> None:
    options = dict(parsed(command, service, "DAGSTER_WEBSERVER", skipped))
    monkeypatch.setattr(os, "environ", without_settings(os.environ) | environment_of(service))
    monkeypatch.chdir(FOLDER)
    target = workspace_opts_to_load_target(WorkspaceOpts.extract_from_cli_options(options))
    assert isinstance(target, WorkspaceFileTarget)
    assert [Path(path).resolve() for path in target.paths] == [FOLDER / "workspace.yaml"]


@pytest.mark.trial
def test_the_code_location_really_starts_and_its_health_check_sees_it(tmp_path: Path) -> None:
    [port] = free_ports(1)
    here = {
        # A history of its own in place of the database; the lake and the log are not asked for anything yet.
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_GRPC_HOST": "127.0.0.1",
        "DAGSTER_GRPC_PORT": str(port),
        "PATH": f"{PROGRAMS}:{os.defpath}",
        "HOME": str(tmp_path),
    }
    check = ["/bin/sh", "-c", 'dagster api grpc-health-check --port "$DAGSTER_GRPC_PORT"']
    environment = environment_of("code") | here
    log = tmp_path / "code.log"

    def is_healthy() -> bool:
        return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0  # noqa: S603

    assert not is_healthy()
    with log.open("wb") as output:
        command = services()["code"]["command"]
        code = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=output)  # noqa: S603
    try:
        end = time.monotonic() + 60
        while not is_healthy():
            assert code.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
        code.terminate()
        assert code.wait(timeout=30) == 0
    finally:
        code.kill()
        code.wait()
