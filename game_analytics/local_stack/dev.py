"""`game-analytics dev`: an S3 server and Dagster on this machine, started, watched and stopped together."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import make_bucket
from game_analytics.local_stack.environment import stack_variables, with_stack, write_shell_file
from game_analytics.local_stack.ports import LOOPBACK, require_free_port
from game_analytics.local_stack.processes import Server, start_child
from game_analytics.local_stack.running import StackPlaces, only_one, say, shown
from game_analytics.local_stack.seaweedfs import WHEEL, SeaweedFS, find_weed
from game_analytics.local_stack.stop_signal import StopSignal, stop_signals
from game_analytics.local_stack.supervisor import Part, run_parts

_DAGSTER_YAML = """\
# Written once by `game-analytics dev`; you may edit it.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 4
"""


@dataclass(frozen=True)
class DevSettings(StackPlaces):
    """Where `dev` keeps its files, which code location it runs and which ports it uses."""

    directory: Path
    workspace: Path
    bucket: str
    ui_port: int
    s3_port: int
    close_abandoned_runs: Callable[[Path], int]
    """Marks runs of this Dagster home as failed that an earlier `dev` could not end, and returns how many."""
    weed: Path | None = field(default_factory=find_weed)
    """SeaweedFS's program; without it the S3 server keeps its objects in memory."""


def run_dev(settings: DevSettings) -> int:
    """Run the S3 server and Dagster until SIGINT, SIGTERM or SIGHUP (returns 0) or until one of them ends (returns 1).

    Must be called from the main thread, since only that one can set signal handlers. Raises `GameAnalyticsError` if
    one of the two cannot start.
    """
    if not settings.workspace.is_file():
        raise GameAnalyticsError(f"There is no {settings.workspace}. Run this in the project's own folder.")
    with stop_signals() as stop:
        with only_one("dev", settings), ExitStack() as stack:
            require_free_port(settings.ui_port, "the Dagster UI", "--port")
            require_free_port(settings.s3_port, "the S3 server", "--s3-port")
            if settings.ui_port == settings.s3_port:
                raise GameAnalyticsError(f"The UI and the S3 server cannot share port {settings.ui_port}.")
            report = _run(settings, stop, stack)
        say("Stopped; nothing is left running.")
    if report is None:
        return 0
    say(report, err=True)
    return 1


def _run(settings: DevSettings, stop: StopSignal, stack: ExitStack) -> str | None:
    """Returns why a part ended, or None if a stop was requested."""
    say("Starting the S3 server ...")
    parts: list[Part] = []
    if settings.weed is None:
        files = f"files in memory: THEY ARE LOST WHEN THIS STOPS, since {WHEEL} does not exist for this system"
        endpoint = stack.enter_context(embedded_s3(settings.bucket, settings.s3_port))
    else:
        files = f"files in {shown(settings.directory / 's3')}"
        folder = settings.directory.resolve() / "s3"
        server = SeaweedFS(folder, settings.s3_port, settings.weed, [settings.ui_port], stop.was_asked)
        endpoint = server.endpoint
        parts.append(Part("The S3 server", server, restart=False, serves_others=True))
    s3 = f"{endpoint.url}, bucket {settings.bucket}, {files}"
    variables = stack_variables(endpoint, settings.bucket, settings.dagster_home, settings.ui_url)

    def prepare() -> None:
        make_bucket(endpoint, settings.bucket)
        say(f"It answers at {s3}.")
        _prepare_dagster_home(settings)
        write_shell_file(settings.shell_file, variables)

    parts.append(Part("Dagster", _Dagster(settings, variables, prepare), restart=False))
    addresses = {"Dagster UI": settings.ui_url, "S3": s3, "Another shell": settings.join_command}
    return run_parts(parts, stop, settings.ui_port, addresses, "the S3 server")


def _prepare_dagster_home(settings: DevSettings) -> None:
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_DAGSTER_YAML)
    closed = settings.close_abandoned_runs(home)
    if closed:
        say(f"Runs that the last stack could not end, now marked as failed: {closed}")


class _Dagster(Server):
    """`dagster dev`: webserver, daemon and code location, whose messages go to our terminal."""

    def __init__(self, settings: DevSettings, variables: Mapping[str, str], prepare: Callable[[], None]) -> None:
        super().__init__("Dagster")
        self._prepare = prepare
        self._environment = with_stack(os.environ, variables)
        self._folder = settings.workspace.resolve().parent
        self._where = ["-w", settings.workspace.name, "-h", LOOPBACK, "-p", str(settings.ui_port)]

    def _start(self) -> None:
        self._prepare()
        say("Starting Dagster, which takes about ten seconds; its own messages follow.")
        # `dg dev`, which Dagster recommends instead, comes with a package that only development needs.
        quiet = ["-W", "ignore:Function `dev_command` is superseded"]
        command = [sys.executable, *quiet, "-m", "dagster", "dev", *self._where]
        self._child = start_child(command, self._folder, self._environment)
