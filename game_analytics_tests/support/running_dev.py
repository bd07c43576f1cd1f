"""Runs `dev` in another process, observes it as a user would, and always stops it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from game_analytics.local_stack.dev import DevSettings
from game_analytics_tests.support.processes import descendants, eventually

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


# Variables that a developer's shell may have for AWS; each would point the stack elsewhere.
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
        """Its output so far."""
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
        """The sessions of its child processes."""
        return {process.session for process in descendants(self.process.pid)} - {os.getsid(self.process.pid)}


@contextmanager
def running_dev(settings: DevSettings, terminal: Path, deaf_to_ctrl_c: bool = False) -> Iterator[RunningDev]:
    """Start it like `dev &` in a script, which ignores SIGINT, or like a terminal."""
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
