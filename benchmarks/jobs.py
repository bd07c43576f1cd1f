"""Work that is measured in a process of its own, ours in our environment and a rival's in theirs, for the same job."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import msgspec
import psutil

from benchmarks.bench import PROJECT, RIVALS, Bench
from benchmarks.machine import cores
from benchmarks.rivals.job import Job

_ENDS_WITHIN_SECONDS = 1800
_LOOK_EVERY_SECONDS = 0.2
_MEMORY_LEFT_BYTES = 2**30
"""Below this, the program is ended before the kernel ends a process, which may be another one."""
_TAIL_LINES = 15


class DidNotFinish(Exception):
    """A measured program failed or did not end. The message says which."""


class Answer(msgspec.Struct):
    """The result of a measured program."""

    seconds: float
    """Wall-clock time of the work alone."""
    peak_mib: float
    """Resident memory of the whole program."""
    output: object
    """What the work returned."""


def job_for(bench: Bench, bucket: str, keys: Sequence[str], result: str, jars: Path | None = None) -> Job:
    """A job that reads these objects of the bucket and writes ``result`` into it."""
    return Job(
        endpoint_url=bench.s3.url,
        region=bench.s3.region,
        access_key_id=bench.s3.access_key_id,
        secret_access_key=bench.s3.secret_access_key,
        bucket=bucket,
        keys=list(keys),
        result=result,
        folder=str(bench.new_folder("spill")),
        cores=cores(),
        jars=str(jars or ""),
    )


def run_ours(bench: Bench, work: str, job: Job) -> Answer:
    """Run ``stats`` or ``board`` of `own`. Raises `DidNotFinish`."""
    return _run(bench, [sys.executable, "-m", "benchmarks.own", work], job)


def run_rival(bench: Bench, script: str, job: Job) -> Answer:
    """Run a script of a rival. Raises `DidNotFinish`."""
    return _run(bench, [bench.rivals_python, RIVALS / script], job)


def _run(bench: Bench, command: list[str | Path], job: Job) -> Answer:
    folder = bench.new_folder("job")
    job_file, answer, log = folder / "job.json", folder / "answer.json", folder / "log.txt"
    job_file.write_text(json.dumps(asdict(job)))
    with (
        log.open("w") as output,
        subprocess.Popen(  # noqa: S603 - programs of ours
            [*command, job_file, answer],
            cwd=PROJECT,
            env=os.environ | {"DO_NOT_TRACK": "true"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children can be ended with it
        ) as process,
    ):
        try:
            _watch(process)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise DidNotFinish(f"ended with {process.returncode}:\n{tail}")
    return msgspec.json.decode(answer.read_bytes(), type=Answer)


def _watch(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end. Raises `DidNotFinish` if it takes too long or almost all memory."""
    started = time.monotonic()
    while time.monotonic() - started < _ENDS_WITHIN_SECONDS:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY_SECONDS)
            return
        if psutil.virtual_memory().available < _MEMORY_LEFT_BYTES:
            raise DidNotFinish("took all of the machine's memory")
    raise DidNotFinish(f"not done within {_ENDS_WITHIN_SECONDS:,} s")
