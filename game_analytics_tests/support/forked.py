"""Runs Python code as `python -c` would, in an environment of its own, without waiting for imports: in the fork of a
server that has imported the large packages, but nothing of this project. Importing them takes up to five seconds."""

import atexit
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_IMPORTED = ["boto3", "confluent_kafka", "dagster._cli", "dagster_aws.s3", "duckdb", "polars", "pydantic_settings"]

COMMAND = "from game_analytics.cli.main import main; main()"
"""`game-analytics`, whose arguments follow."""
DAGSTER = "from dagster._cli import main; main()"
"""`dagster`, whose arguments follow."""


def run_python(
    code: str,
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path | None = None,
    given: str = "",
    seconds: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run code in a new process with just this environment, in ``folder``; ``given`` is its standard input."""
    with tempfile.TemporaryDirectory() as kept:
        files = [Path(kept) / name for name in ("in", "out", "err")]
        files[0].write_text(given)
        request = {
            "code": code,
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder or Path.cwd()),
            "files": list(map(str, files)),
        }
        status = _ask(json.dumps(request), seconds)
        output, errors = (file.read_text() if file.exists() else "" for file in files[1:])
        return subprocess.CompletedProcess([code, *arguments], status, output, errors)


def _ask(request: str, seconds: float) -> int:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(request + "\n")
    server.stdin.flush()
    ready, _, _ = select.select([server.stdout], [], [], seconds)
    if not ready:
        _server.cache_clear()
        server.kill()
    assert ready, f"not within {seconds} s: {request}"
    return int(server.stdout.readline())


@cache
def _server() -> "subprocess.Popen[str]":
    """The server of this process, which ends with it."""
    server = subprocess.Popen(  # noqa: S603 - this module
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)
    return server


def _serve() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    answers = sys.stdout
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _execute(json.loads(line))
        _, status = os.waitpid(process, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _execute(request: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (file, flag) in enumerate(zip(request["files"], flags, strict=True)):
        os.dup2(os.open(file, flag), number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["-c", *request["arguments"]]
    status: object = 0
    try:
        exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the tests' own code
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


if __name__ == "__main__":
    _serve()
