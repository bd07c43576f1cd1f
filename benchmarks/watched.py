"""Measures a command from outside: how long it takes, and how much memory it and all its child processes use at the
same time."""

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE_EVERY_SECONDS = 0.05
# Sampling a large process takes tens of milliseconds and delays its memory operations, so it is done rarely.
_PAUSE_PER_SAMPLE = 20
_ENDS_WITHIN_SECONDS = 3600
_TAIL_LINES = 40


class CommandFailed(Exception):
    """A measured command failed. The message holds the end of its output."""


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    seconds: float
    """Wall-clock time from its start to its end."""
    memory: Sequence[tuple[float, int]]
    """Samples, at most twenty a second: seconds since 1970, and bytes of all its processes, with shared memory counted
    once (Linux's PSS)."""

    @property
    def peak_mib(self) -> float:
        """The largest sample."""
        return self.peak_mib_within(float("-inf"), float("inf"))

    def peak_mib_within(self, start: float, end: float) -> float:
        """The largest sample between two times, in seconds since 1970."""
        return max((size for at, size in self.memory if start <= at <= end), default=0) / 2**20


def watch(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path, *, memory: bool = True
) -> Taken:
    """Run the command to its end, with its output in ``log``. Raises `CommandFailed` unless its exit code is 0.

    Sampling its ``memory`` slows it down, more so with much memory and many threads.
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
            sampler = _Memory(process.pid) if memory else None
            try:
                process.wait(_ENDS_WITHIN_SECONDS)
            except BaseException:
                process.kill()
                raise
            finally:
                seconds = time.perf_counter() - started
                if sampler is not None:
                    sampler.stop()
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise CommandFailed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return Taken(seconds, [] if sampler is None else sampler.samples)


class _Memory:
    """Samples the memory of a process and its descendants until stopped."""

    def __init__(self, pid: int) -> None:
        self.samples: list[tuple[float, int]] = []
        self._root = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        pause = _SAMPLE_EVERY_SECONDS
        while not self._stopped.wait(pause):
            started = time.perf_counter()
            with suppress(psutil.NoSuchProcess):
                processes = [self._root, *self._root.children(recursive=True)]
                self.samples.append((time.time(), sum(map(_bytes_of, processes))))
            pause = max(_SAMPLE_EVERY_SECONDS, _PAUSE_PER_SAMPLE * (time.perf_counter() - started))


def _bytes_of(process: psutil.Process) -> int:
    # It may end at any time.
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return int(process.memory_full_info().pss)
    return 0
