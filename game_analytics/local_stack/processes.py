"""Child processes that can be stopped to the last descendant, and that never outlive us."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from game_analytics.errors import GameAnalyticsError

_TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True)
class Child:
    """A program and all that it starts, held by a tether: see ``tether.py``."""

    tether: subprocess.Popen[bytes]

    def has_ended(self) -> bool:
        """True once the program has ended and nothing that it started is left."""
        return self.tether.poll() is not None

    def how_it_ended(self) -> str:
        """``exit code 1`` or ``signal SIGKILL``; waits for the end."""
        code = self.tether.wait()
        by_signal = [number.name for number in signal.Signals if number == code - 128]
        return f"signal {by_signal[0]}" if by_signal else f"exit code {code}"

    def stop(self) -> None:
        """Let go of it, and return when nothing of it is left."""
        assert self.tether.stdin is not None  # noqa: S101 (start_child made it)
        with suppress(BrokenPipeError):  # it ended by itself
            self.tether.stdin.write(b"stop")
            self.tether.stdin.close()
        self.tether.wait()


class OneChild:
    """What a server that runs as a child process has in common with others: it runs once at most."""

    _child: Child | None = None

    def stop(self) -> None:
        """End it in good order, with all that it started; nothing happens if it does not run."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def has_ended(self) -> bool:
        """Whether it was started and runs no more."""
        return self._child is not None and self._child.has_ended()

    def how_it_ended(self) -> str:
        """``exit code 1`` or ``signal SIGKILL``."""
        return "" if self._child is None else self._child.how_it_ended()


def locked_log(path: Path, program: str, advice: str, *, keep: bool = False) -> IO[bytes]:
    """The log of a program that is about to start, emptied unless it is to ``keep`` what it has. The program inherits
    the lock with the file, so the folder is taken as long as it lives.

    Raises `GameAnalyticsError` naming the program and the folder if one runs there, with advice on what to do.
    """
    log = path.open("ab")
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as locked:
        log.close()
        raise GameAnalyticsError(f"{program} still runs on the files in {path.parent}. {advice}") from locked
    if not keep:
        log.truncate(0)
    return log


def start_child(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], output: IO[bytes] | None = None
) -> Child:
    """Start a program with no input; without ``output`` it writes to our terminal."""
    tethered = [sys.executable, "-I", _TETHER, *command]
    return Child(
        subprocess.Popen(  # noqa: S603 (commands of this package, and no shell)
            tethered, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
    )
