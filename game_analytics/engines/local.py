"""The engine that is this machine: one worker or several, each of which gets one item at a time and returns its result.

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
from typing import Any, Generic

from game_analytics.engines.engine import Done, Engine, I, Progress, R, S, Task, WorkerDied
from game_analytics.engines.worker import serve

_LOOK_EVERY_SECONDS = 1.0
_ENDS_WITHIN_SECONDS = 5.0


@dataclass(frozen=True)
class LocalEngine(Engine):
    """This machine."""

    workers: int = 1
    """At most; one of them is a thread of this process, each further one a process."""

    def run(
        self, task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, *, workers_worth: int
    ) -> Iterator[R]:
        workers = min(self.workers, workers_worth)
        if workers == 1:
            return _by_itself(task, shared, items, progress)
        return _by_workers(task, shared, items, progress, workers)


def _by_itself(task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress) -> Iterator[R]:
    with task(shared) as work:
        for item in items:
            yield work(item, progress)


def _by_workers(task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, workers: int) -> Iterator[R]:
    queue = _WorkStealing(items, workers)
    with ExitStack() as running:
        busy: dict[Connection, _Worker] = {}
        for number in reversed(range(workers)):  # those that take half a second to start come first
            worker = running.enter_context(_worker(task, shared, number))
            first = queue.next_for(number)
            if first is not None:
                worker.begin(first)
                busy[worker.connection] = worker
        while busy:
            ready = wait(list(busy), _LOOK_EVERY_SECONDS)
            if not ready:
                progress(0)
            for worker in [worker for connection, worker in busy.items() if connection in ready]:
                message = worker.receive()
                if isinstance(message, Done):
                    progress(message.units)
                    continue
                following = queue.next_for(worker.number)
                if following is None:
                    del busy[worker.connection]
                else:
                    worker.begin(following)
                yield message


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _WorkStealing(Generic[I]):
    """Which item a worker gets next. Each worker owns a contiguous run of items, so that the consumer of one that lands
    slices need not seek; an idle worker steals from the end of the longest run."""

    def __init__(self, items: Sequence[I], workers: int) -> None:
        bounds = [len(items) * number // workers for number in range(workers + 1)]
        self._runs = [deque(items[first:end]) for first, end in pairwise(bounds)]

    def next_for(self, number: int) -> I | None:
        if self._runs[number]:
            return self._runs[number].popleft()
        longest = max(self._runs, key=len)
        return longest.pop() if longest else None


@dataclass
class _Worker:
    """Our end of the pipe to a worker, and the item that it has."""

    number: int
    connection: Connection
    how_it_ended: Callable[[], str]
    item: object = None

    def begin(self, item: object) -> None:
        self.item = item
        self.send(item)

    def send(self, thing: object) -> None:
        # If it died, what is received next says so, and with which item.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(thing)

    def receive(self) -> Any:
        """`Done` units, or the result of the item. Raises what the task raised."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerDied(
                f"The process that worked on {self.item} ended by {self.how_it_ended()}. Nothing was committed. Run "
                "again."
            ) from None
        if isinstance(message, Exception):
            raise message
        return message


@contextmanager
def _worker(task: Task[S, I, R], shared: S, number: int) -> Iterator[_Worker]:
    """A worker that waits for items of this task, and is ended with the block."""
    ours, theirs = Pipe()
    started: AbstractContextManager[Callable[[], str]] = _process(theirs) if number else _thread(theirs)
    with started as how_it_ended, ours:  # ours is closed first, which tells it to end
        worker = _Worker(number, ours, how_it_ended)
        # Not by the command line, which everyone on the machine can read: credentials are among it. And to the thread
        # like to a process: clients of its own, since this thread goes on using ours.
        worker.send((task, shared))
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
