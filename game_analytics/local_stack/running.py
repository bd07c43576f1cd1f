"""What every stack of this machine needs while it runs: to be the only one on its folder, to ask a server whether it
answers, and to speak to a terminal that may be gone."""

import fcntl
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.ports import LOOPBACK


@contextmanager
def only_one(command: str, directory: Path) -> Iterator[None]:
    """Raises `GameAnalyticsError` if the command runs on the folder already. The kernel drops this lock with the
    process, so nothing stale is ever left."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as locked:
            raise GameAnalyticsError(
                f"Another `game-analytics {command}` already runs on {shown(directory)}. "
                f"Stop it first, or join it from this shell: source {shlex.quote(shown(directory / 'env'))}"
            ) from locked
        yield


def answers(port: int) -> bool:
    """Whether Dagster's webserver does, on this port of the loopback."""
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def shown(path: Path) -> str:
    """Short where it can be: as the user would type it here."""
    full = path.resolve()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def say(line: str, err: bool = False) -> None:
    """A line for whoever started us."""
    with suppress(OSError):  # the terminal may be gone; what was asked of us goes on all the same
        click.echo(line, err=err)
