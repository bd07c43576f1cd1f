"""A script that runs a program, and ends it with all its descendants once the process that started the script is gone.

``python -I tether.py PROGRAM ARGUMENT…``, with a pipe as standard input. The program is stopped when the pipe has data
or is closed, which also happens when its owner is killed.
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
_ALONE_SECONDS = 8.0  # for the program to stop its descendants; Dagster takes one to five
_TOGETHER_SECONDS = 15.0  # for the remaining ones, such as runs, which then record that they were interrupted
_KILLED_SECONDS = 5.0


def main() -> None:
    """Run the program until it ends or is to be stopped, and exit with its exit code."""
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    # A session of its own, so that Ctrl-C at the terminal does not reach it directly, and its descendants are known.
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
    while program.poll() is None and not stopping:
        stopping = bool(select.select([sys.stdin], [], [], _LOOK_EVERY_SECONDS)[0])
    _end(program)
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)  # of a signal, as a shell reports it


def _end(program: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the program, then SIGTERM to its group, then SIGKILL."""

    def is_gone() -> bool:
        return program.poll() is not None and not _group_is_alive(program.pid)

    if program.poll() is None:
        program.terminate()
        _wait_until(lambda: program.poll() is not None, _ALONE_SECONDS)
    for number, seconds in ((signal.SIGTERM, _TOGETHER_SECONDS), (signal.SIGKILL, _KILLED_SECONDS)):
        if not is_gone():
            with suppress(ProcessLookupError):  # the last one has just ended
                os.killpg(program.pid, number)
            _wait_until(is_gone, seconds)


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(_LOOK_EVERY_SECONDS / 2)


def _group_is_alive(group: int) -> bool:
    if sys.platform != "linux":
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):  # PermissionError: on macOS, only zombies are left
            return False
        return True
    return any(_is_alive_in(stat, group) for stat in Path("/proc").glob("[0-9]*/stat"))


def _is_alive_in(stat: Path, group: int) -> bool:
    """From /proc, since zombies also accept signal 0, and in a container they may stay for ever."""
    try:
        state, _parent, member_of = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
    except OSError:
        return False  # it has just ended
    return int(member_of) == group and state not in "ZX"


if __name__ == "__main__":
    main()
