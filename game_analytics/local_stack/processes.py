"""Child processes that are stopped with all their descendants, and that never outlive us."""

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from game_analytics.errors import GameAnalyticsError, Unavailable

_TETHER = Path(__file__).with_name("tether.py")
_ASK_EVERY_SECONDS = 0.05
_LOG_TAIL_LINES = 30


@dataclass(frozen=True)
class Child:
    """A program and everything it starts, held by a tether: see ``tether.py``."""

    tether: subprocess.Popen[bytes]

    def has_ended(self) -> bool:
        """True once the program has ended and none of its descendants is left."""
        return self.tether.poll() is not None

    def how_it_ended(self) -> str:
        """``exit code 1`` or ``signal SIGKILL``; waits for the end."""
        code = self.tether.wait()
        by_signal = [number.name for number in signal.Signals if number == code - 128]
        return f"signal {by_signal[0]}" if by_signal else f"exit code {code}"

    def stop(self) -> None:
        """Stop the program, and return once all its descendants have ended."""
        assert self.tether.stdin is not None  # noqa: S101 (start_child opened it)
        with suppress(BrokenPipeError):  # it ended by itself
            self.tether.stdin.write(b"stop")
            self.tether.stdin.close()
        self.tether.wait()


class Server:
    """A program that runs as one child process at most. Also a context manager: started on entry, stopped on exit.

    A subclass implements `_start`, which sets ``_child`` and, if others depend on it, waits until the server answers.
    """

    def __init__(self, name: str, log: Path | None = None) -> None:
        """``name`` is used in messages. Without ``log`` the program writes to our terminal."""
        self.name = name
        self.log = log
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it on the data of its last run, if any, and return once it answers. If that fails, nothing is left.

        Raises:
            GameAnalyticsError: it is running already, its folder is in use, or something that it needs is missing.
            Unavailable: it ended or did not answer in time; the message quotes the end of its log.
        """
        if self._child is not None:
            raise GameAnalyticsError(f"{self.name} is running already. Stop it first.")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it and its descendants in good order. Does nothing if it is not running."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    @property
    def is_running(self) -> bool:
        return self._child is not None and not self._child.has_ended()

    def has_ended(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._child is not None and self._child.has_ended()

    def how_it_ended(self) -> str:
        """``exit code 1`` or ``signal SIGKILL``; empty if it was not started."""
        return "" if self._child is None else self._child.how_it_ended()

    def reasons(self) -> str:
        """For error messages: where its log is, and the last lines of it."""
        return "Its own messages above say why." if self.log is None else f"{self.log} says:\n{self.log_tail()}"

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log_lines()[-_LOG_TAIL_LINES:])

    def _log_lines(self) -> list[str]:
        return [] if self.log is None else self.log.read_text(errors="replace").splitlines()

    def _wait_for_answer(
        self, url: str, ask: Callable[[], object], seconds: float, give_up: Callable[[], bool] = lambda: False
    ) -> None:
        """Return once ``ask`` returns None; until then it returns why the server at ``url`` does not serve yet.

        Raises `Unavailable` if the server ends, after so many seconds, or once ``give_up`` returns True.
        """
        assert self._child is not None  # noqa: S101 (it was started)
        answer: object = "not asked yet"
        end = time.monotonic() + seconds
        while not (self._child.has_ended() or give_up() or time.monotonic() > end):
            answer = ask()
            if answer is None:
                return
            time.sleep(_ASK_EVERY_SECONDS)
        fate = "did not answer"
        if self._child.has_ended():
            fate, answer = "ended before it answered", self._child.how_it_ended()
        raise Unavailable(f"{self.name} {fate} at {url} ({answer}). {self.reasons()}")


def open_locked(path: Path, refusal: str) -> IO[bytes]:
    """Open a file for appending and lock it; the lock is held while this process or a child that inherits the file
    keeps it open, so a stale lock cannot remain.

    Raises `GameAnalyticsError` with the text of ``refusal`` if it is locked already.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as locked:
        file.close()
        raise GameAnalyticsError(refusal) from locked
    return file


def locked_log(path: Path, program: str, advice: str, *, keep: bool = False) -> IO[bytes]:
    """The log for a program that is about to start, emptied unless ``keep`` is set. The program inherits the lock with
    the file, so no second one can start on the folder while it runs.

    Raises `GameAnalyticsError` naming the program and the folder, followed by ``advice``, if one is running there.
    """
    log = open_locked(path, f"{program} still runs on the files in {path.parent}. {advice}")
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
