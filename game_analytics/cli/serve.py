"""`game-analytics serve`: the three services of a deployment, the same in containers and in `make stack`.

Each waits for what it can't begin without, saying in one line what that is or what is wrong with it, and then becomes
Dagster's own program. That finds `dagster.yaml` in DAGSTER_HOME, and `workspace.yaml` where it is started.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

import click
import dagster as dg
import sqlalchemy.exc
from dagster_postgres.utils import DagsterPostgresException

from game_analytics.defs.dagster_internals import (
    DagsterGrpcClient,
    DagsterUserCodeUnreachableError,
    GrpcServerCodeLocationOrigin,
    WorkspaceFileTarget,
)
from game_analytics.errors import GameAnalyticsError, printable

_TRY_EVERY_SECONDS = 1.0
_SAY_EVERY_SECONDS = 30.0
_CONNECT_WITHIN_SECONDS = "5"  # to PostgreSQL, unless told otherwise; a firewall that drops all would take minutes

Problem = Callable[[], str | None]
"""Says what a service has to wait for; None if it need not."""


DEFINITIONS = "game_analytics.definitions"


def settings_problem() -> str | None:
    """None; raises `GameAnalyticsError` if the definitions can't be made of the environment's settings, which Dagster
    would tell on seventy lines."""
    import_module(DEFINITIONS)
    return None


def history_problem() -> str | None:
    """Why Dagster's history can't be used now. Raises `GameAnalyticsError` if that won't change by itself."""
    # Dagster tries several times and warns of each; what it comes to is said here.
    logging.disable(logging.WARNING)
    try:
        with dg.DagsterInstance.get():
            return None
    except (DagsterPostgresException, sqlalchemy.exc.SQLAlchemyError) as error:
        return f"PostgreSQL, where Dagster keeps its history: {_root_of(error)}"
    except dg.DagsterError as error:
        raise GameAnalyticsError(f"dagster.yaml or its settings are wrong: {_fault_in(str(error))}") from error
    finally:
        logging.disable(logging.NOTSET)


def code_location_problem() -> str | None:
    """Why the code location can't be asked now. Raises `GameAnalyticsError` if nobody can know where it is."""
    try:
        origins = WorkspaceFileTarget(["workspace.yaml"]).create_origins()
    except dg.DagsterError as error:
        raise GameAnalyticsError(f"workspace.yaml or its settings are wrong: {_fault_in(str(error))}") from error
    for origin in origins:
        if isinstance(origin, GrpcServerCodeLocationOrigin):
            try:
                DagsterGrpcClient(host=origin.host, port=origin.port, socket=origin.socket).ping("")
            except DagsterUserCodeUnreachableError:
                return f"the code location {origin.location_name} at {origin.host}:{origin.port}: nobody answers there"
    return None


@dataclass(frozen=True)
class Service:
    """A program of Dagster's, and what it has to wait for."""

    command: Sequence[str]
    needs: Sequence[Problem] = ()


SERVICES = {
    "code": Service(["dagster", "api", "grpc", "--module-name", DEFINITIONS], [settings_problem, history_problem]),
    "webserver": Service(["dagster-webserver"], [history_problem, code_location_problem]),
    "daemon": Service(["dagster-daemon", "run"], [history_problem, code_location_problem]),
}


def serve(name: str) -> NoReturn:
    """Wait, and become the service. Where it listens and all else it takes from the environment, by Dagster's names."""
    service = SERVICES[name]
    os.environ.setdefault("PGCONNECT_TIMEOUT", _CONNECT_WITHIN_SECONDS)
    for problem in service.needs:
        wait_until_none(problem, lambda line: click.echo(f"{name}: {line}"))
    program, *arguments = service.command
    # Dagster ends at a SIGTERM as at a SIGINT, to which a shell without job control makes its programs deaf.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(program, [program, *arguments])  # noqa: S606 (no shell is wanted)
    except OSError as error:
        raise GameAnalyticsError(f"{program} can't be started: {error.strerror}. Is it on the PATH?") from error


def wait_until_none(
    problem: Problem,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask again and again, and say each new answer once, and one that stays every half minute."""
    said, said_at = None, 0.0
    while (found := problem()) is not None:
        if found != said or clock() - said_at >= _SAY_EVERY_SECONDS:
            say(f"waiting for {found}. Trying again")
            said, said_at = found, clock()
        pause(_TRY_EVERY_SECONDS)
    if said is not None:
        say("goes on")


def _root_of(error: BaseException) -> str:
    """What the driver says, without the statement and without SQLAlchemy's advice."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return _one_line(str(error))


def _fault_in(told: str) -> str:
    """What Dagster says is wrong, without all that might have been right before it and the stack trace behind it."""
    before_the_trace, _, _ = told.partition("Stack Trace")
    head, _, fault = before_the_trace.partition("Error 1: ")
    return _one_line(fault or head)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
