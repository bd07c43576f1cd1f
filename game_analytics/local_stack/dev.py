"""`game-analytics dev`: an S3 server and the whole of Dagster on this machine, started, watched and stopped as one."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import S3Endpoint, make_bucket
from game_analytics.local_stack.environment import stack_variables, with_stack, write_shell_file
from game_analytics.local_stack.ports import LOOPBACK, require_free_port
from game_analytics.local_stack.processes import Child, start_child
from game_analytics.local_stack.running import answers, only_one, say, shown
from game_analytics.local_stack.seaweedfs import WHEEL, SeaweedFS, find_weed, seaweedfs
from game_analytics.local_stack.stop_signal import StopSignal, stop_signals

_LOOK_EVERY_SECONDS = 0.1

_DAGSTER_YAML = """\
# Made once by `game-analytics dev`; yours to edit from then on.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 4
"""


@dataclass(frozen=True)
class DevSettings:
    """Where the stack keeps what it makes, and where it answers."""

    directory: Path
    workspace: Path
    bucket: str
    ui_port: int
    s3_port: int
    close_abandoned_runs: Callable[[Path], int]
    """Marks runs of this Dagster home failed that an earlier stack could not end, and tells how many there were."""
    weed: Path | None = field(default_factory=find_weed)
    """SeaweedFS's program; without it the files live in memory."""

    @property
    def ui_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.ui_port}"

    @property
    def dagster_home(self) -> Path:
        """Dagster's history; Dagster insists on an absolute path."""
        return self.directory.resolve() / "dagster"

    @property
    def shell_file(self) -> Path:
        """What another shell sources to join."""
        return self.directory / "env"


@dataclass(frozen=True)
class _S3:
    endpoint: S3Endpoint
    files: str
    server: SeaweedFS | None


def run_dev(settings: DevSettings) -> int:
    """Run the stack until SIGINT, SIGTERM or SIGHUP (then 0) or until a part of it dies (then 1).

    Must be called from the main thread, since only that one may listen to signals.
    """
    if not settings.workspace.is_file():
        raise GameAnalyticsError(f"There is no {settings.workspace}. Run this in the project's own folder.")
    with stop_signals() as stop:
        with ExitStack() as stack:
            stack.enter_context(only_one("dev", settings.directory))
            require_free_port(settings.ui_port, "the Dagster UI", "--port")
            require_free_port(settings.s3_port, "the S3 server", "--s3-port")
            if settings.ui_port == settings.s3_port:
                raise GameAnalyticsError(f"The UI and the S3 server cannot share port {settings.ui_port}.")
            obituary = _start_and_watch(settings, stop, stack)
            say("Stopping: Dagster and its runs first, then the S3 server ...")
        say("Stopped; nothing is left running.")
    if obituary is None:
        return 0
    say(obituary, err=True)
    return 1


def _start_and_watch(settings: DevSettings, stop: StopSignal, stack: ExitStack) -> str | None:
    """Returns why the stack has to end: None if somebody asked for it."""
    say("Starting the S3 server ...")
    try:
        s3 = stack.enter_context(_s3_server(settings, stop))
    except GameAnalyticsError:
        if stop.asked:
            return None
        raise
    make_bucket(s3.endpoint, settings.bucket)
    say(f"It answers at {s3.endpoint.url}, bucket {settings.bucket}, {s3.files}.")
    variables = stack_variables(s3.endpoint, settings.bucket, settings.dagster_home, settings.ui_url)
    _prepare_dagster_home(settings)
    write_shell_file(settings.shell_file, variables)
    if stop.asked:
        return None
    say("Starting Dagster, which takes about ten seconds; its own messages follow.")
    dagster = stack.enter_context(_dagster(settings, with_stack(os.environ, variables)))
    return _watch(settings, stop, s3, dagster)


def _watch(settings: DevSettings, stop: StopSignal, s3: _S3, dagster: Child) -> str | None:
    announced = False
    while not stop.asked:
        if dagster.has_ended():
            return f"Dagster ended by itself with {dagster.how_it_ended()}. Its own messages above say why."
        if s3.server is not None and s3.server.child.has_ended():
            return (
                f"The S3 server ended by itself with {s3.server.child.how_it_ended()}. {s3.server.log} says:\n"
                f"{s3.server.log_tail()}"
            )
        if not announced and answers(settings.ui_port):
            announced = True
            _announce(settings, s3)
        time.sleep(_LOOK_EVERY_SECONDS)
    return None


def _announce(settings: DevSettings, s3: _S3) -> None:
    say("")
    say(f"  Dagster UI      {settings.ui_url}")
    say(f"  S3              {s3.endpoint.url}, bucket {settings.bucket}, {s3.files}")
    say(f"  Another shell   source {shlex.quote(shown(settings.shell_file))}")
    say("  To stop         Ctrl-C")
    say("")


@contextmanager
def _s3_server(settings: DevSettings, stop: StopSignal) -> Iterator[_S3]:
    if settings.weed is None:
        files = f"files in memory: THEY GO WHEN THIS STOPS, for {WHEEL} does not exist for this system"
        with embedded_s3(settings.bucket, settings.s3_port) as endpoint:
            yield _S3(endpoint, files, None)
        return
    folder = settings.directory.resolve() / "s3"
    with seaweedfs(folder, settings.s3_port, settings.weed, [settings.ui_port], stop.was_asked) as server:
        yield _S3(server.endpoint, f"files in {shown(settings.directory / 's3')}", server)


def _prepare_dagster_home(settings: DevSettings) -> None:
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_DAGSTER_YAML)
    closed = settings.close_abandoned_runs(home)
    if closed:
        say(f"Runs that the last stack could not end, now marked as failed: {closed}")


@contextmanager
def _dagster(settings: DevSettings, environment: dict[str, str]) -> Iterator[Child]:
    workspace = settings.workspace.resolve()
    # `dg dev`, which it recommends instead, comes with a package that only development needs.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    where = ["-w", workspace.name, "-h", LOOPBACK, "-p", str(settings.ui_port)]
    command = [sys.executable, *quiet, "-m", "dagster", "dev", *where]
    dagster = start_child(command, workspace.parent, environment)
    try:
        yield dagster
    finally:
        dagster.stop()
