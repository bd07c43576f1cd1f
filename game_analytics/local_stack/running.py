"""What `dev` and `stack` have in common besides their parts: their files, and how they write to the terminal."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click

from game_analytics.local_stack.ports import LOOPBACK
from game_analytics.local_stack.processes import open_locked


class StackPlaces:
    """Where a stack keeps its files and where its UI is, for the settings of `dev` and of `stack`."""

    directory: Path
    ui_port: int

    @property
    def ui_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.ui_port}"

    @property
    def dagster_home(self) -> Path:
        """The folder of `dagster.yaml`; Dagster requires an absolute path."""
        return self.directory.resolve() / "dagster"

    @property
    def shell_file(self) -> Path:
        """The file that another shell sources to work on the stack."""
        return self.directory / "env"

    @property
    def join_command(self) -> str:
        """What to type in another shell to work on the stack."""
        return f"source {shlex.quote(shown(self.shell_file))}"


@contextmanager
def only_one(command: str, places: StackPlaces) -> Iterator[None]:
    """Raises `GameAnalyticsError` if the command is running on this folder already."""
    places.directory.mkdir(parents=True, exist_ok=True)
    refusal = (
        f"Another `game-analytics {command}` already runs on {shown(places.directory)}. "
        f"Stop it first, or join it from this shell: {places.join_command}"
    )
    with open_locked(places.directory / "lock", refusal):
        yield


def answers(port: int) -> bool:
    """Whether Dagster's webserver answers on this port of the loopback interface."""
    connection = HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def shown(path: Path) -> str:
    """The path relative to the current folder if it is below it, as a user would type it."""
    full = path.resolve()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def say(line: str, err: bool = False) -> None:
    """Print a line to the user, on standard error if ``err``."""
    with suppress(OSError):  # the terminal may be closed; that must not end the stack
        click.echo(line, err=err)
