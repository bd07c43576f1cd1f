"""A worker of `workers.py`, in a thread of its process or as a program of its own: it lands slices until the other end
of the pipe is closed, also if its owner was killed."""

import gc
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.landing.slices import Slice, SliceReport, land_slice
from game_analytics.sources.event_log import EventLog


class OwnerIsGone(Exception):
    """Nobody is at the other end of the pipe any more."""


@dataclass(frozen=True)
class Owner:
    """Who started this process."""

    connection: Connection

    def hear(self) -> Any:
        """What he sends next; raises what it raises on its arrival, and `OwnerIsGone`."""
        try:
            return self.connection.recv()
        except (EOFError, OSError) as gone:
            raise OwnerIsGone from gone

    def tell(self, thing: object) -> None:
        try:
            self.connection.send(thing)
        except OSError as gone:
            raise OwnerIsGone from gone


def main() -> None:
    """Serve the pipe whose file descriptor the command line names."""
    # Ctrl-C in a terminal reaches us as well; who started us decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # No message refers to itself, so Python's search for objects that do is in vain, and takes a twentieth of the time.
    gc.disable()
    serve(Connection(int(sys.argv[1])))


def serve(connection: Connection) -> None:
    """Receive an event log and a lake, then slices, and answer with the messages read and a report of each slice."""
    with connection, suppress(OwnerIsGone):
        owner = Owner(connection)
        try:
            log, lake = owner.hear()
        except OwnerIsGone:
            raise
        except Exception as error:
            owner.tell(_as_told("an event log and a lake were sent to it", error))
            return
        while True:
            owner.tell(_landed(log, lake, owner.hear(), owner))


def _landed(log: EventLog, lake: Lake, piece: Slice, owner: Owner) -> SliceReport | Exception:
    try:
        return land_slice(log, lake, piece, owner.tell)
    except OwnerIsGone:
        raise
    except Exception as error:
        return _as_told(str(piece), error)


def _as_told(what: str, error: Exception) -> Exception:
    """The error as it is sent to the owner."""
    if isinstance(error, GameAnalyticsError):
        return error
    # A fault of ours. Not every exception survives the way to another process, but its text does.
    return RuntimeError(f"{what}: {error!r}\n{traceback.format_exc()}")


if __name__ == "__main__":
    main()
