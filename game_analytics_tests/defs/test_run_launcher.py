"""Runs and their code location as processes: the monitor keeps a live run and detects a lost one."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient

from game_analytics.defs.run_launcher import WatchedRunLauncher
from game_analytics.local_stack.ports import LOOPBACK, free_ports
from game_analytics_tests.support.processes import eventually

WAITS = """
import time
from pathlib import Path
import dagster as dg

@dg.op
def waiting() -> None:
    while not Path("go").exists():
        time.sleep(0.05)

@dg.job(executor_def=dg.in_process_executor)
def waits() -> None:
    waiting()

defs = dg.Definitions(jobs=[waits])
"""

SETTINGS = {
    "run_launcher": {"module": "game_analytics.defs.run_launcher", "class": "WatchedRunLauncher", "config": {}},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator", "config": {}},
    "run_monitoring": {"enabled": True},
    "telemetry": {"enabled": False},
}


@dataclass
class CodeLocation:
    """A code location with one job, which waits for a file; it can be started, and killed with all its runs."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["-m", "dagster", "api", "grpc", "-h", LOOPBACK, "-p", str(self.port), "-f", "waits.py"]
        with (self.folder / "code.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, *words], cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        client = DagsterGrpcClient(port=self.port, host=LOOPBACK)
        eventually(lambda: client.health_check_query() == "SERVING", "it serves", (self.folder / "code.log").read_text)

    def kill(self) -> None:
        """SIGKILL to it and all its children."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def code(tmp_path: Path) -> Iterator[CodeLocation]:
    (tmp_path / "waits.py").write_text(WAITS)
    [port] = free_ports(1)
    code = CodeLocation(tmp_path, port)
    try:
        code.start()
        yield code
    finally:
        code.kill()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides=SETTINGS) as instance:
        yield instance


@contextmanager
def workspace_of(instance: dg.DagsterInstance, code: CodeLocation) -> Iterator[WorkspaceProcessContext]:
    target = GrpcServerTarget(host=LOOPBACK, port=code.port, socket=None, location_name="waits")
    with WorkspaceProcessContext(instance, target) as workspace:
        yield workspace


def launched(instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> str:
    """The id of a run of the job, once it has begun."""
    context = workspace.create_request_context()
    job = context.get_code_location("waits").get_repository("__repository__").get_full_job("waits")
    run = create_run_for_test(
        instance, "waits", remote_job_origin=job.get_remote_origin(), job_code_origin=job.get_python_origin()
    )
    instance.launch_run(run.run_id, context)
    eventually(lambda: status(instance, run.run_id) == dg.DagsterRunStatus.STARTED, "the run has begun")
    return str(run.run_id)


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def looks(workspace: WorkspaceProcessContext) -> None:
    """The daemon's monitoring, which runs every minute."""
    assert list(execute_run_monitoring_iteration(workspace, logging.getLogger("monitor"))) == [None]


@pytest.mark.trial
def test_a_live_run_continues_and_one_killed_with_its_code_location_fails(
    instance: dg.DagsterInstance, code: CodeLocation
) -> None:
    with workspace_of(instance, code) as workspace:
        run_id = launched(instance, workspace)
        looks(workspace)
        assert status(instance, run_id) == dg.DagsterRunStatus.STARTED

        code.kill()
        looks(workspace)  # the state of the run is unknown yet
        assert status(instance, run_id) == dg.DagsterRunStatus.STARTED

        code.start()
        looks(workspace)
        assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE
        [message] = [event.message for event in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)]
        assert "the code location was restarted" in message


def test_a_run_of_another_launcher_is_not_failed(instance: dg.DagsterInstance) -> None:
    run = create_run_for_test(instance, "elsewhere", status=dg.DagsterRunStatus.STARTED)
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_a_deployment_that_names_the_path_of_earlier_versions_gets_the_same_launcher() -> None:
    assert import_module("game_analytics.run_launcher").WatchedRunLauncher is WatchedRunLauncher
