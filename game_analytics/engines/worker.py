"""A worker of `local.py`, as a thread or as a program. It ends when the other end of its pipe is closed, so also when
its owner is killed."""

import gc
import signal
import sys
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from game_analytics.engines.engine import Done, I, R, Work
from game_analytics.errors import GameAnalyticsError


class OwnerGone(Exception):
    """The other end of the pipe is closed."""


@dataclass(frozen=True)
class Owner:
    """The process that started this worker."""

    connection: Connection

    def receive(self) -> Any:
        """The next object. Raises `OwnerGone` when the pipe is closed, or what unpickling raises."""
        try:
            return self.connection.recv()
        except (EOFError, OSError) as gone:
            raise OwnerGone from gone

    def send(self, thing: object) -> None:
        try:
            self.connection.send(thing)
        except OSError as gone:
            raise OwnerGone from gone


def main() -> None:
    """Serve the pipe whose file descriptor the command line names."""
    # Ctrl-C in a terminal sends SIGINT to this process as well; the owner decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Messages hold no reference cycles, so the cyclic garbage collector costs 5 % and finds nothing.
    gc.disable()
    serve(Connection(int(sys.argv[1])))


def serve(connection: Connection) -> None:
    """Receive a task with its shared data, then items. Send `Done` for progress, and each item's result."""
    with connection, suppress(OwnerGone):
        owner = Owner(connection)
        with ExitStack() as opened:
            try:
                task, shared = owner.receive()
                work = opened.enter_context(task(shared))
            except OwnerGone:
                raise
            except Exception as error:
                owner.send(_portable("the task was sent to a worker", error))
                return
            while True:
                owner.send(_result(work, owner.receive(), owner))


def _result(work: Work[I, R], item: I, owner: Owner) -> R | Exception:
    try:
        return work(item, lambda units: owner.send(Done(units)))
    except OwnerGone:
        raise
    except Exception as error:
        return _portable(str(item), error)


def _portable(what: str, error: Exception) -> Exception:
    """The error in a form that can be pickled."""
    if isinstance(error, GameAnalyticsError):
        return error
    # A bug. Not every exception survives pickling; its text does.
    return RuntimeError(f"{what}: {error!r}\n{traceback.format_exc()}")


if __name__ == "__main__":
    main()
