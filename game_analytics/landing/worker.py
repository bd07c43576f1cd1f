"""Run as a program by `workers.py`: land slices until the other end of the pipe is closed, also if its owner was
killed."""

import gc
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.slices import Slice, SliceReport, land_slice
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake


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
    with Connection(int(sys.argv[1])) as connection, suppress(OwnerIsGone):
        owner = Owner(connection)
        try:
            log, lake = owner.hear()
        except GameAnalyticsError as error:
            owner.tell(error)
            return
        while True:
            owner.tell(_landed(log, lake, owner.hear(), owner))


def _landed(log: EventLog, lake: Lake, piece: Slice, owner: Owner) -> SliceReport | Exception:
    try:
        return land_slice(log, lake, piece, owner.tell)
    except GameAnalyticsError as error:
        return error
    except OwnerIsGone:
        raise
    except Exception as error:
        # A fault of ours. Not every exception survives the way to another process, but its text does.
        return RuntimeError(f"{piece}: {error!r}\n{traceback.format_exc()}")


if __name__ == "__main__":
    main()
