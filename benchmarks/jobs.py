"""Work that is measured in a program of its own: ours in our environment, a rival's in theirs, told the same job."""

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

from benchmarks.ground import PROJECT, RIVALS, Ground
from benchmarks.machine import cores
from benchmarks.rivals.job import Job

_ENDS_WITHIN_SECONDS = 1800
_LOOK_EVERY_SECONDS = 0.2
_MEMORY_LEFT_BYTES = 2**30
"""Before the kernel looks for somebody to end, who may be another."""
_TAIL_LINES = 15


class DidNotFinish(Exception):
    """A program that was to be measured ended badly or not at all. The message says how."""


class Answer(msgspec.Struct):
    """What a program says of its work."""

    seconds: float
    """Of the work alone, wall-clock."""
    peak_mib: float
    """Of the whole program, resident."""
    said: object


def job_for(ground: Ground, bucket: str, keys: Sequence[str], result: str, jars: Path | None = None) -> Job:
    """The job of reading these objects of the bucket and writing ``result`` into it."""
    return Job(
        endpoint_url=ground.s3.url,
        region=ground.s3.region,
        access_key_id=ground.s3.access_key_id,
        secret_access_key=ground.s3.secret_access_key,
        bucket=bucket,
        keys=list(keys),
        result=result,
        folder=str(ground.new_folder("spill")),
        cores=cores(),
        jars=str(jars or ""),
    )


def run_ours(ground: Ground, work: str, job: Job) -> Answer:
    """One of the works of `own`."""
    return _run(ground, [sys.executable, "-m", "benchmarks.own", work], job)


def run_rival(ground: Ground, script: str, job: Job) -> Answer:
    """A script of a rival, which calls `measured`."""
    return _run(ground, [ground.rivals_python, RIVALS / script], job)


def _run(ground: Ground, command: list[str | Path], job: Job) -> Answer:
    folder = ground.new_folder("job")
    asked, answer, log = folder / "job.json", folder / "answer.json", folder / "log.txt"
    asked.write_text(json.dumps(asdict(job)))
    with (
        log.open("w") as output,
        subprocess.Popen(  # noqa: S603 - programs of ours
            [*command, asked, answer],
            cwd=PROJECT,
            env=os.environ | {"DO_NOT_TRACK": "true"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all that it starts can be ended with it
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
    """Wait for its end. Raises `DidNotFinish` if it takes too long or all of the memory."""
    started = time.monotonic()
    while time.monotonic() - started < _ENDS_WITHIN_SECONDS:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY_SECONDS)
            return
        if psutil.virtual_memory().available < _MEMORY_LEFT_BYTES:
            raise DidNotFinish("took all of the machine's memory")
    raise DidNotFinish(f"not done within {_ENDS_WITHIN_SECONDS:,} s")
