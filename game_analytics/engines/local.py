"""Slices landed by one worker or by several, each of which gets one slice at a time and reports it.

The first of several is a thread of this process, which has paid for its imports already; the others are processes.
These are Python programs of their own (`worker.py`), neither forked, since this process has threads, nor made by
`multiprocessing`, which would run the calling program's main module again in each of them.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

from game_analytics.engines.worker import serve
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.landing.slices import Slice, SliceReport, land_slice
from game_analytics.sources.event_log import EventLog

_LOOK_EVERY_SECONDS = 1.0
_ENDS_WITHIN_SECONDS = 5.0


class WorkerDied(GameAnalyticsError):
    """A process ended in the middle of its slice."""


def land_slices(
    log: EventLog, lake: Lake, pieces: Sequence[Slice], workers: int, tell: Callable[[int], None]
) -> Iterator[SliceReport]:
    """Land each slice by so many workers, and give its report, in no particular order.

    ``tell`` is given the number of messages that were read since, at least once a second, 0 if there were none.
    Raises what landing a slice raises, and `WorkerDied`; the other workers are then ended.
    """
    if workers == 1:
        for piece in pieces:
            yield land_slice(log, lake, piece, tell)
        return
    shares = _Shares(pieces, workers)
    with ExitStack() as running:
        busy: dict[Connection, _Worker] = {}
        for number in reversed(range(workers)):  # those that take half a second to start come first
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
    """Our end of the pipe to a worker, and the slice that it has."""

    number: int
    connection: Connection
    how_it_ended: Callable[[], str]
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
                f"The process that landed {self.piece} ended by {self.how_it_ended()}. Nothing was committed. Run "
                "again."
            ) from None
        if isinstance(message, Exception):
            raise message
        assert isinstance(message, int | SliceReport)  # noqa: S101 - what worker.py sends
        return message


@contextmanager
def _worker(log: EventLog, lake: Lake, number: int) -> Iterator[_Worker]:
    """A worker that waits for slices of this log, and is ended with the block."""
    ours, theirs = Pipe()
    started: AbstractContextManager[Callable[[], str]] = _process(theirs) if number else _thread(theirs)
    with started as how_it_ended, ours:  # ours is closed first, which tells it to end
        worker = _Worker(number, ours, how_it_ended)
        # Not by the command line, which everyone on the machine can read: credentials are among it. And to the thread
        # like to a process: clients of its own, since this thread goes on using ours.
        worker.send((log, lake))
        yield worker


@contextmanager
def _thread(theirs: Connection) -> Iterator[Callable[[], str]]:
    # A daemon: one that is deep in waiting for S3 or Kafka must not keep a failed run from ending.
    thread = threading.Thread(target=serve, args=[theirs], daemon=True)
    thread.start()
    try:
        yield lambda: "an error in its thread, see its standard error"
    finally:
        thread.join(_ENDS_WITHIN_SECONDS)


@contextmanager
def _process(theirs: Connection) -> Iterator[Callable[[], str]]:
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", "game_analytics.engines.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            # There are as many workers as cores already.
            env={"POLARS_MAX_THREADS": "1", **os.environ},
        )
    try:
        yield lambda: _how_it_ended(process)
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        return "closing its pipe, and hangs"
    if code == -signal.SIGKILL:
        return "signal SIGKILL, as where memory is short (set GAME_ANALYTICS_WORKERS to fewer then)"
    by_signal = next((number.name for number in signal.Signals if number == -code), str(-code))
    return f"signal {by_signal}" if code < 0 else f"exit code {code}, see its standard error"
