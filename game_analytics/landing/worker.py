"""Run as a program by `workers.py`: land slices until the other end of the pipe is closed, also if its owner was
killed."""

import signal
import sys
import traceback
from multiprocessing.connection import Connection

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.slices import Slice, SliceReport, land_slice
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake


def main() -> None:
    """Serve the pipe whose file descriptor the command line names."""
    # Ctrl-C in a terminal reaches us as well; who started us decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(int(sys.argv[1])) as connection:
        try:
            log, lake = connection.recv()
            while True:
                connection.send(_landed(log, lake, connection.recv(), connection))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # nobody is there any more


def _landed(log: EventLog, lake: Lake, piece: Slice, connection: Connection) -> SliceReport | Exception:
    try:
        return land_slice(log, lake, piece, connection.send)
    except GameAnalyticsError as error:
        return error
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        # A fault of ours. Not every exception survives the way to another process, but its text does.
        return RuntimeError(f"{piece}: {error!r}\n{traceback.format_exc()}")


if __name__ == "__main__":
    main()
