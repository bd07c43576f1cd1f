"""Runs Python code as `python -c` would, in an environment of its own, without waiting for imports: in the fork of a
server that has imported the large packages, but nothing of this project. Importing them takes up to five seconds."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "boto3",
        "click",
        "confluent_kafka",
        "dagster",
        "dagster._cli",
        "dagster_aws.s3",
        "duckdb",
        "polars",
        "pydantic_settings",
    ]
)

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
    seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run code in a new process with just this environment, in ``folder``; ``given`` is its standard input."""
    with tempfile.TemporaryDirectory() as kept:
        files = [Path(kept) / name for name in ("in", "out", "err")]
        files[0].write_text(given)
        process = _SERVER.Process(
            target=_execute, args=(code, arguments, dict(environment), folder or Path.cwd(), files)
        )
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"not within {seconds} s: {code}\n{files[2].read_text()}")
        output, errors = (file.read_text() for file in files[1:])
        return subprocess.CompletedProcess([code, *arguments], process.exitcode, output, errors)


def _execute(
    code: str, arguments: tuple[str, ...], environment: dict[str, str], folder: Path, files: list[Path]
) -> NoReturn:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)):
        os.dup2(os.open(file, flags), number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["-c", *arguments]
    status: object = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the tests' own code
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
