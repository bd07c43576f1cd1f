"""Slices landed in this process or in several, each of which gets one slice at a time and reports it.

The processes are Python programs of their own (`worker.py`), neither forked, since this process has threads, nor made
by `multiprocessing`, which would run the calling program's main module again in each of them.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.slices import Slice, SliceReport, land_slice
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake

_LOOK_EVERY_SECONDS = 1.0
_ENDS_WITHIN_SECONDS = 5.0


class WorkerDied(GameAnalyticsError):
    """A process ended in the middle of its slice."""


def land_slices(
    log: EventLog, lake: Lake, pieces: Sequence[Slice], workers: int, tell: Callable[[int], None]
) -> Iterator[SliceReport]:
    """Land each slice, in this process if one worker is asked for, and give its report, in no particular order.

    ``tell`` is given the number of messages that were read since, at least once a second, 0 if there were none.
    Raises what landing a slice raises, and `WorkerDied`; the other processes are then ended.
    """
    if workers == 1:
        for piece in pieces:
            yield land_slice(log, lake, piece, tell)
        return
    shares = _Shares(pieces, workers)
    with ExitStack() as running:
        busy: dict[Connection, _Worker] = {}
        for number in range(workers):
            worker = running.enter_context(_worker(log, lake, number))
            first = shares.next_for(number)
            if first is not None:
                worker.begin(first)
                busy[worker.connection] = worker
        while busy:
            ready = wait(list(busy), _LOOK_EVERY_SECONDS)
            if not ready:
                tell(0)
            for worker in [worker for connection, worker in busy.items() if connection in ready]:
                message = worker.receive()
                if isinstance(message, int):
                    tell(message)
                    continue
                following = shares.next_for(worker.number)
                if following is None:
                    del busy[worker.connection]
                else:
                    worker.begin(following)
                yield message


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Shares:
    """Which slice a worker gets next: its share is a run of neighbours, so that it reads on where it stands. Who has
    finished helps with the end of the longest share."""

    def __init__(self, pieces: Sequence[Slice], workers: int) -> None:
        bounds = [len(pieces) * number // workers for number in range(workers + 1)]
        self._shares = [deque(pieces[first:end]) for first, end in pairwise(bounds)]

    def next_for(self, number: int) -> Slice | None:
        if self._shares[number]:
            return self._shares[number].popleft()
        longest = max(self._shares, key=len)
        return longest.pop() if longest else None


@dataclass
class _Worker:
    """A process, and the slice that it has."""

    number: int
    process: subprocess.Popen[bytes]
    connection: Connection
    piece: Slice | None = None

    def begin(self, piece: Slice) -> None:
        self.piece = piece
        self.send(piece)

    def send(self, thing: object) -> None:
        # If it died, what is received next tells so, and of which slice.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(thing)

    def receive(self) -> int | SliceReport:
        """Messages read, or the report of the slice that is done. Raises what the slice raised."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerDied(
                f"The process that landed {self.piece} ended by {self._how_it_ended()}. Nothing was committed. Run "
                "again."
            ) from None
        if isinstance(message, Exception):
            raise message
        assert isinstance(message, int | SliceReport)  # noqa: S101 - what worker.py sends
        return message

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            return "closing its pipe, and hangs"
        if code == -signal.SIGKILL:
            return "signal SIGKILL, as where memory is short (set GAME_ANALYTICS_WORKERS to fewer then)"
        by_signal = next((number.name for number in signal.Signals if number == -code), str(-code))
        return f"signal {by_signal}" if code < 0 else f"exit code {code}, see its standard error"


@contextmanager
def _worker(log: EventLog, lake: Lake, number: int) -> Iterator[_Worker]:
    """A process that waits for slices of this log, and is ended with the block."""
    ours, theirs = Pipe()
    with ours:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                [sys.executable, "-m", "game_analytics.landing.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # There are as many processes as cores already.
                env={"POLARS_MAX_THREADS": "1", **os.environ},
            )
        worker = _Worker(number, process, ours)
        try:
            # Not by the command line, which everyone on the machine can read: credentials are among it.
            worker.send((log, lake))
            yield worker
        finally:
            process.terminate()
            try:
                process.wait(_ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
