"""`dev` in a process of its own: its servers answer, its files outlive it, and none of its processes do."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from game_analytics.defs.abandoned_runs import close_abandoned_runs
from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.dev import DevSettings, run_dev
from game_analytics.local_stack.endpoint import S3Endpoint, s3_client
from game_analytics.local_stack.environment import stack_variables, with_stack
from game_analytics.local_stack.ports import free_ports
from game_analytics_tests.support.processes import eventually, left_of, programs
from game_analytics_tests.support.requirements import needs_seaweedfs
from game_analytics_tests.support.running_dev import RunningDev, running_dev

pytestmark = pytest.mark.real

LAUNCH = """
mutation { launchRun(executionParams: {mode: "default", selector: {repositoryLocationName: "tiny",
    repositoryName: "__repository__", jobName: "__ASSET_JOB"}}) { __typename } }
"""
RUNS = "{ runsOrError { ... on Runs { results { status } } } }"

READ_GREETING = """
import os, boto3
s3 = boto3.Session(region_name=os.environ["AWS_REGION"]).client("s3")
print(s3.get_object(Bucket=os.environ["GAME_ANALYTICS_BUCKET"], Key="greeting")["Body"].read().decode())
"""


def graphql(settings: DevSettings, query: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310
        f"{settings.ui_url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        data: dict[str, Any] = json.load(answer)["data"]
    return data


def runs(settings: DevSettings) -> list[str]:
    return [run["status"] for run in graphql(settings, RUNS)["runsOrError"]["results"]]


def in_another_shell(settings: DevSettings, command: str, **variables: str) -> str:
    """What a command prints in a shell with these variables that has sourced the stack's file."""
    ran = subprocess.run(  # noqa: S603
        ["/usr/bin/env", "bash", "-c", 'source "$0" && eval "$1"', str(settings.shell_file), command],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def child_of(dev: RunningDev, words: str) -> int:
    [child] = [process for process in programs(words) if process.session in dev.sessions()]
    return child.pid


@needs_seaweedfs
def test_a_stack_that_restarts_finds_its_files_and_its_history(settings: DevSettings, tmp_path: Path) -> None:
    with running_dev(settings, tmp_path / "first") as dev:
        dev.wait_until_it_shows(f"Dagster UI      {settings.ui_url}")
        assert f"source '{settings.shell_file}'".replace("it's", "it'\"'\"'s") in dev.shown()
        assert stat.S_IMODE(settings.shell_file.stat().st_mode) == 0o600
        assert graphql(settings, LAUNCH)["launchRun"]["__typename"] == "LaunchRunSuccess"
        eventually(lambda: runs(settings) == ["SUCCESS"], "the run ends well", dev.shown)
        python = 'python -c "$READ_GREETING"; command -v python; echo "$DAGSTER_HOME"'
        greeting, program, home = in_another_shell(
            settings, python, READ_GREETING=READ_GREETING, PATH="/usr/bin:/bin", AWS_PROFILE="production"
        ).splitlines()
        assert (greeting, Path(program)) == ("hello", Path(sys.executable).with_name("python"))
        assert home == str(settings.directory / "dagster")
        sessions = dev.sessions()
        assert len(sessions) == 4  # two programs and their tethers
        assert dev.stop(signal.SIGTERM) == 0
        assert not left_of(sessions)
        assert dev.shown().endswith("Stopped; nothing is left running.\n")

    with running_dev(settings, tmp_path / "second", deaf_to_ctrl_c=True) as dev:
        dev.wait_until_it_shows(f"Dagster UI      {settings.ui_url}")
        assert runs(settings) == ["SUCCESS"]
        assert in_another_shell(settings, 'python -c "$READ"', READ=READ_GREETING, PATH="/usr/bin:/bin") == "hello"
        sessions = dev.sessions()
        dev.process.send_signal(signal.SIGINT)
        dev.wait_until_it_shows("Stopping")
        assert dev.stop(signal.SIGINT) == 0  # pressed again while it stops
        assert not left_of(sessions)

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        [run] = instance.get_runs()
        assert ".dagster/grpc_info" in run.tags  # close_abandoned_runs recognizes runs of a stack by it


@needs_seaweedfs
def test_a_stop_while_it_starts_leaves_no_process(settings: DevSettings, tmp_path: Path) -> None:
    with running_dev(settings, tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting Dagster")
        sessions = dev.sessions()
        assert dev.stop(signal.SIGHUP) == 0
        assert not left_of(sessions)


@needs_seaweedfs
def test_a_second_dev_on_the_same_folder_is_refused(settings: DevSettings, tmp_path: Path) -> None:
    with running_dev(settings, tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting the S3 server")
        ui_port, s3_port = free_ports(2)
        with pytest.raises(GameAnalyticsError, match=r"Another `game-analytics dev` already runs on .*\$place"):
            run_dev(replace(settings, ui_port=ui_port, s3_port=s3_port))


@needs_seaweedfs
def test_when_the_s3_server_ends_dagster_is_stopped_and_the_reason_reported(
    settings: DevSettings, tmp_path: Path
) -> None:
    with running_dev(settings, tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting Dagster")
        sessions = dev.sessions()
        os.kill(child_of(dev, "mini -dir="), signal.SIGKILL)
        assert dev.process.wait(timeout=60) == 1
        assert not left_of(sessions)
        assert "The S3 server ended by itself with signal SIGKILL" in dev.shown()
        assert len(dev.shown().partition("server.log says:\n")[2].splitlines()) > 5


@needs_seaweedfs
def test_when_dagster_ends_the_s3_server_is_stopped_and_the_reason_reported(
    settings: DevSettings, tmp_path: Path
) -> None:
    settings.workspace.write_text("load_from: [nonsense]")
    with running_dev(settings, tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting Dagster")
        sessions = dev.sessions()
        assert dev.process.wait(timeout=60) == 1
        assert not left_of(sessions)
        assert "Dagster ended by itself with exit code 1. Its own messages above say why." in dev.shown()


@needs_seaweedfs
def test_when_the_stack_is_killed_its_processes_end(settings: DevSettings, tmp_path: Path) -> None:
    with running_dev(settings, tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Launching Dagster services")
        sessions = dev.sessions()
        assert dev.stop(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: not left_of(sessions), "all have ended", lambda: str(left_of(sessions)))


def test_where_seaweedfs_does_not_exist_it_serves_from_memory_and_says_so(
    settings: DevSettings, tmp_path: Path
) -> None:
    with running_dev(replace(settings, weed=None), tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting Dagster")
        assert "THEY ARE LOST WHEN THIS STOPS" in dev.shown()
        with closing(s3_client(S3Endpoint(f"http://127.0.0.1:{settings.s3_port}", "a", "b"))) as client:
            assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["test-bucket"]
        assert dev.stop(signal.SIGTERM) == 0
        assert not listens(settings.s3_port)


def test_a_missing_workspace_is_reported_with_its_path(settings: DevSettings) -> None:
    with pytest.raises(GameAnalyticsError, match=r"There is no /nowhere/workspace\.yaml"):
        run_dev(replace(settings, workspace=Path("/nowhere/workspace.yaml")))


def test_a_dagster_yaml_that_the_user_has_changed_is_kept(settings: DevSettings, tmp_path: Path) -> None:
    configuration = settings.dagster_home / "dagster.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("telemetry: {enabled: false}\n")
    with running_dev(replace(settings, weed=None), tmp_path / "terminal") as dev:
        dev.wait_until_it_shows("Starting Dagster")
    assert configuration.read_text() == "telemetry: {enabled: false}\n"


def test_runs_that_an_earlier_stack_could_not_end_are_marked_as_failed(tmp_path: Path) -> None:
    launched = {".dagster/grpc_info": json.dumps({"host": "localhost", "socket": "/gone"})}
    started = dg.DagsterRunStatus.STARTED
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.add_run(
            dg.DagsterRun("raw_events", "00000000-0000-0000-0000-000000000001", status=started, tags=launched)
        )
        instance.add_run(
            dg.DagsterRun("raw_events", "00000000-0000-0000-0000-000000000002", status=started)
        )  # launched from a shell
    assert close_abandoned_runs(tmp_path) == 1
    assert close_abandoned_runs(tmp_path) == 0
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        statuses = {run.run_id[-1]: run.status for run in instance.get_runs()}
    assert statuses == {"1": dg.DagsterRunStatus.FAILURE, "2": started}


def test_what_the_user_has_set_for_aws_itself_does_not_reach_the_stack() -> None:
    shell = {"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "theirs", "KAFKA_TOPIC": "kept"}
    endpoint = S3Endpoint("http://127.0.0.1:1", "ours", "ours")
    variables = stack_variables(endpoint, "lake", Path("/home"), "http://127.0.0.1:2")
    assert with_stack(shell, variables) == {
        **variables,
        "KAFKA_TOPIC": "kept",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
