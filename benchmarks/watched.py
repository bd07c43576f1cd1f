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
_ENDS_WITHIN_SECONDS = 3600
_TAIL_LINES = 40


class CommandFailed(Exception):
    """A command that was to be measured did not end well. The message holds the end of what it printed."""


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    """Wall clock, from its start to its end."""
    peak_bytes: int
    """Of all its processes together at one moment; what they share is counted once (Linux's PSS)."""

    @property
    def peak_mib(self) -> float:
        """The same in MiB."""
        return self.peak_bytes / 2**20


def watch(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path, *, memory: bool = True
) -> Taken:
    """Run the command to its end; what it prints goes to the log. Raises `CommandFailed` unless it ends with 0.

    To look at its ``memory`` takes time from it, more with more memory and more threads; without, the peak is 0.
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
            peak = _Peak(process.pid) if memory else None
            try:
                process.wait(_ENDS_WITHIN_SECONDS)
            except BaseException:
                process.kill()
                raise
            finally:
                seconds = time.perf_counter() - started
                if peak is not None:
                    peak.stop()
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return Taken(seconds, 0 if peak is None else peak.bytes)


class _Peak:
    """Looks again and again how much memory a process and its descendants take."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_SECONDS):
            with suppress(psutil.NoSuchProcess):
                processes = [self._root, *self._root.children(recursive=True)]
                self.bytes = max(self.bytes, sum(map(_bytes_of, processes)))


def _bytes_of(process: psutil.Process) -> int:
    # Each of them may end while it is looked at.
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_full_info().pss)
    return 0
