"""Run as a script: keep a program running for whoever started this, and end it once they let go.

``python -I tether.py PROGRAM ARGUMENT…``, with a pipe as standard input. The pipe closes when its owner asks for it,
when he exits, and even when he is killed outright; then the program is ended with all that it started.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LOOK_EVERY_SECONDS = 0.1
_ALONE_SECONDS = 8.0  # for the program to end its descendants in good order; Dagster takes one to five
_TOGETHER_SECONDS = 15.0  # for those that remain, such as runs, which then record that they were interrupted
_KILLED_SECONDS = 5.0


def main() -> None:
    """Run the program until it ends or until it is to be ended, and exit with its exit code."""
    let_go = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal let_go
        let_go = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    # A session of its own: what is typed at a terminal does not reach it past us, and its members are known.
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    while program.poll() is None and not let_go:
        let_go = bool(select.select([sys.stdin], [], [], _LOOK_EVERY_SECONDS)[0])
    _end(program)
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)  # as a shell tells of a signal


def _end(program: subprocess.Popen[bytes]) -> None:
    """First the program is asked, then whoever is left, then nobody is."""

    def is_gone() -> bool:
        return program.poll() is not None and not _group_lives(program.pid)

    if program.poll() is None:
        program.terminate()
        _wait_until(lambda: program.poll() is not None, _ALONE_SECONDS)
    for number, seconds in ((signal.SIGTERM, _TOGETHER_SECONDS), (signal.SIGKILL, _KILLED_SECONDS)):
        if not is_gone():
            with suppress(ProcessLookupError):  # the last one may have ended in between
                os.killpg(program.pid, number)
            _wait_until(is_gone, seconds)


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_SECONDS / 2)


def _group_lives(group: int) -> bool:
    if sys.platform != "linux":
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):  # macOS says the latter when only uncollected ones are left
            return False
        return True
    return any(_is_living_member(stat, group) for stat in Path("/proc").glob("[0-9]*/stat"))


def _is_living_member(stat: Path, group: int) -> bool:
    """By the kernel's table, since in a container nobody may collect the dead, and a signal 0 reaches those too."""
    try:
        state, _parent, member_of = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except OSError:
        return False  # it has just ended
    return int(member_of) == group and state not in "ZX"


if __name__ == "__main__":
    main()
