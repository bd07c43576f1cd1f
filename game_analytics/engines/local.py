"""The engine for this machine. It gives each worker one item at a time and collects the results.

The first of several workers is a thread of this process, which has everything imported already; the others are
processes that run `worker.py`. They are not forked, since this process has threads, and not started by
`multiprocessing`, which would run the calling program's main module again in each.
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

_PROGRESS_SECONDS = 1.0
_SHUTDOWN_SECONDS = 5.0


@dataclass(frozen=True)
class LocalEngine(Engine):
    """Runs work in a thread and processes of this machine."""

    workers: int = 1
    """The maximum; one is a thread of this process, each further one a process."""

    def run(
        self, task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, *, workers_worth: int
    ) -> Iterator[R]:
        workers = min(self.workers, workers_worth)
        if workers == 1:
            return _in_this_thread(task, shared, items, progress)
        return _with_workers(task, shared, items, progress, workers)


def _in_this_thread(task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress) -> Iterator[R]:
    with task(shared) as work:
        for item in items:
            yield work(item, progress)


def _with_workers(task: Task[S, I, R], shared: S, items: Sequence[I], progress: Progress, workers: int) -> Iterator[R]:
    queue = _WorkStealing(items, workers)
    with ExitStack() as running:
        busy: dict[Connection, _Worker] = {}
        for number in reversed(range(workers)):  # processes first: they take half a second to start
            worker = running.enter_context(_worker(task, shared, number))
            first = queue.next_for(number)
            if first is not None:
                worker.begin(first)
                busy[worker.connection] = worker
        while busy:
            ready = wait(list(busy), _PROGRESS_SECONDS)
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
    """Which item a worker gets next. Each worker owns a contiguous run of items, so that a consumer of slices need not
    seek; an idle worker steals from the end of the longest run."""

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
    """This side of the pipe to a worker, and the item that it works on."""

    number: int
    connection: Connection
    describe_end: Callable[[], str]
    """Why the worker ended, for the error message."""
    item: object = None

    def begin(self, item: object) -> None:
        self.item = item
        self.send(item)

    def send(self, thing: object) -> None:
        # If the worker has died, `receive` reports it, with the item.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(thing)

    def receive(self) -> Any:
        """`Done` units, or the result of the item. Raises what the task raised."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerDied(
                f"The process that worked on {self.item} ended by {self.describe_end()}. Nothing was committed. Run "
                "again."
            ) from None
        if isinstance(message, Exception):
            raise message
        return message


@contextmanager
def _worker(task: Task[S, I, R], shared: S, number: int) -> Iterator[_Worker]:
    """A worker that waits for items of this task, and ends with the block."""
    ours, theirs = Pipe()
    started: AbstractContextManager[Callable[[], str]] = _process(theirs) if number else _thread(theirs)
    with started as describe_end, ours:  # ``ours`` is closed first, which makes the worker end
        worker = _Worker(number, ours, describe_end)
        # By the pipe and not the command line, which every user of the machine can read: the data includes credentials.
        # The thread gets it pickled, too, so that it has clients of its own.
        worker.send((task, shared))
        yield worker


@contextmanager
def _thread(theirs: Connection) -> Iterator[Callable[[], str]]:
    # A daemon thread: if it waits for S3 or Kafka, a failed run must be able to end without it.
    thread = threading.Thread(target=serve, args=[theirs], daemon=True)
    thread.start()
    try:
        yield lambda: "an error in its thread, see its standard error"
    finally:
        thread.join(_SHUTDOWN_SECONDS)


@contextmanager
def _process(theirs: Connection) -> Iterator[Callable[[], str]]:
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", "game_analytics.engines.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            # The workers already use all cores.
            env={"POLARS_MAX_THREADS": "1", **os.environ},
        )
    try:
        yield lambda: _exit_reason(process)
    finally:
        process.terminate()
        try:
            process.wait(_SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _exit_reason(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        return "closing its pipe, and hangs"
    if code == -signal.SIGKILL:
        return "signal SIGKILL, which often means too little memory (set GAME_ANALYTICS_WORKERS lower then)"
    by_signal = next((number.name for number in signal.Signals if number == -code), str(-code))
    return f"signal {by_signal}" if code < 0 else f"exit code {code}, see its standard error"
