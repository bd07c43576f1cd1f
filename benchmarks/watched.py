"""A command as a user types it, watched from outside: how long it takes, and how much memory it and all its child
processes take at the same time."""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_LOOK_EVERY_SECONDS = 0.05
# A look at a large process takes tens of milliseconds of a core, and holds up what it does with its memory.
_PAUSE_PER_LOOK = 20
_ENDS_WITHIN_SECONDS = 3600
_TAIL_LINES = 40


class CommandFailed(Exception):
    """A command that was to be measured did not end well. The message holds the end of what it printed."""


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    """Wall clock, from its start to its end."""
    memory: Sequence[tuple[float, int]]
    """Bytes of all its processes together, what they share counted once (Linux's PSS), at moments in seconds since
    1970, some twenty a second."""

    @property
    def peak_mib(self) -> float:
        """At the highest of these moments."""
        return self.peak_mib_within(float("-inf"), float("inf"))

    def peak_mib_within(self, start: float, end: float) -> float:
        """At the highest of those between two moments."""
        return max((size for at, size in self.memory if start <= at <= end), default=0) / 2**20


def watch(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path, *, memory: bool = True
) -> Taken:
    """Run the command to its end; what it prints goes to the log. Raises `CommandFailed` unless it ends with 0.

    To look at its ``memory`` takes time from it, more with more memory and more threads; without, there are no samples.
    """
    with log.open("w") as output:
        started = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - commands of ours
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process:
            looks = _Memory(process.pid) if memory else None
            try:
                process.wait(_ENDS_WITHIN_SECONDS)
            except BaseException:
                process.kill()
                raise
            finally:
                seconds = time.perf_counter() - started
                if looks is not None:
                    looks.stop()
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return Taken(seconds, [] if looks is None else looks.samples)


class _Memory:
    """Looks again and again how much memory a process and its descendants take."""

    def __init__(self, pid: int) -> None:
        self.samples: list[tuple[float, int]] = []
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        pause = _LOOK_EVERY_SECONDS
        while not self._stopped.wait(pause):
            started = time.perf_counter()
            with suppress(psutil.NoSuchProcess):
                processes = [self._root, *self._root.children(recursive=True)]
                self.samples.append((time.time(), sum(map(_bytes_of, processes))))
            pause = max(_LOOK_EVERY_SECONDS, _PAUSE_PER_LOOK * (time.perf_counter() - started))


def _bytes_of(process: psutil.Process) -> int:
    # Each of them may end while it is looked at.
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_full_info().pss)
    return 0
