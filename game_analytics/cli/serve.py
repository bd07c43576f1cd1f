"""`game-analytics serve`: the three services of a deployment, the same in containers and in `make stack`.

Each waits for the services that it depends on, logs in one line what it waits for, and then executes Dagster's program
in its place. That reads `dagster.yaml` in DAGSTER_HOME and `workspace.yaml` in the current folder.
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

_RETRY_SECONDS = 1.0
_REPEAT_SECONDS = 30.0
_CONNECT_SECONDS = "5"  # default for PostgreSQL; behind a firewall that drops packets it would take minutes

Problem = Callable[[], str | None]
"""Returns what a service has to wait for, None if nothing."""

DEFINITIONS = "game_analytics.definitions"


def settings_problem() -> str | None:
    """Always None. Raises `GameAnalyticsError` if the environment's settings are invalid, which Dagster would report in
    seventy lines."""
    import_module(DEFINITIONS)
    return None


def history_problem() -> str | None:
    """Why Dagster's history can't be used yet. Raises `GameAnalyticsError` if it won't be by waiting."""
    # Dagster retries and logs a warning each time; the last error is enough.
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
    """Why the code location can't be used yet. Raises `GameAnalyticsError` if `workspace.yaml` is invalid."""
    try:
        origins = WorkspaceFileTarget(["workspace.yaml"]).create_origins()
    except dg.DagsterError as error:
        raise GameAnalyticsError(f"workspace.yaml or its settings are wrong: {_fault_in(str(error))}") from error
    for origin in origins:
        if isinstance(origin, GrpcServerCodeLocationOrigin):
            try:
                DagsterGrpcClient(host=origin.host, port=origin.port, socket=origin.socket).ping("")
            except DagsterUserCodeUnreachableError:
                return f"the code location {origin.location_name} at {origin.host}:{origin.port}: it does not answer"
    return None


@dataclass(frozen=True)
class Service:
    """One of Dagster's programs, and what it has to wait for."""

    command: Sequence[str]
    needs: Sequence[Problem] = ()


SERVICES = {
    "code": Service(["dagster", "api", "grpc", "--module-name", DEFINITIONS], [settings_problem, history_problem]),
    "webserver": Service(["dagster-webserver"], [history_problem, code_location_problem]),
    "daemon": Service(["dagster-daemon", "run"], [history_problem, code_location_problem]),
}


def serve(name: str) -> NoReturn:
    """Wait, then replace this process by the service, which reads its port and the like from Dagster's own environment
    variables."""
    service = SERVICES[name]
    os.environ.setdefault("PGCONNECT_TIMEOUT", _CONNECT_SECONDS)
    for problem in service.needs:
        wait_until_none(problem, lambda line: click.echo(f"{name}: {line}"))
    program, *arguments = service.command
    # Dagster turns SIGTERM into SIGINT. A shell without job control starts background programs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(program, [program, *arguments])  # noqa: S606 - no shell
    except OSError as error:
        raise GameAnalyticsError(f"{program} can't be started: {error.strerror}. Is it on the PATH?") from error


def wait_until_none(
    problem: Problem,
    log: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once there is no problem. Logs each new problem at once, and an unchanged one every 30 seconds."""
    logged, logged_at = None, 0.0
    while (current := problem()) is not None:
        if current != logged or clock() - logged_at >= _REPEAT_SECONDS:
            log(f"waiting for {current}. Trying again")
            logged, logged_at = current, clock()
        pause(_RETRY_SECONDS)
    if logged is not None:
        log("continues")


def _root_of(error: BaseException) -> str:
    """The database driver's message, without the SQL statement and SQLAlchemy's advice."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return _one_line(str(error))


def _fault_in(message: str) -> str:
    """The first error in Dagster's message about a config, without the schema before it and the stack trace after
    it."""
    before_trace, _, _ = message.partition("Stack Trace")
    head, _, fault = before_trace.partition("Error 1: ")
    return _one_line(fault or head)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
