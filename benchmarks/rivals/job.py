"""The job of a measured program and how it is run, for rivals and for ours alike.

A program is one call of `measured`. Imports and start-up are not timed.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Job:
    """Which objects to read, where to write the result, and how to connect to S3."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    bucket: str
    keys: list[str]
    """The objects to read."""
    result: str
    """The key to write, or the prefix of the keys if a program writes several objects."""
    folder: str
    """For data that does not fit into memory."""
    cores: int
    jars: str
    """The folder of Spark's connector to S3, for Spark."""

    @property
    def uris(self) -> list[str]:
        """The URIs of the objects to read."""
        return [self.uri(key) for key in self.keys]

    def uri(self, key: str) -> str:
        """The URI of an object in the bucket."""
        return f"s3://{self.bucket}/{key}"

    @property
    def host(self) -> str:
        """The endpoint without its scheme."""
        return urlsplit(self.endpoint_url).netloc


def measured(prepare: Callable[[Job], Callable[[], object]]) -> None:
    """Run the job of the file that is the last but one argument, and write the result to the last one, both as JSON.

    ``prepare`` opens connections and starts engines, which is not timed, and returns the work, which is timed.
    """
    job_file, answer = (Path(word) for word in sys.argv[-2:])
    work = prepare(Job(**json.loads(job_file.read_text())))
    started = time.perf_counter()
    output = work()
    seconds = time.perf_counter() - started
    answer.write_text(json.dumps({"seconds": seconds, "peak_mib": _peak_mib(), "output": output}))
    # Without the engines' own shutdown: Daft's threads crash there in one of three runs.
    os._exit(0)


def _peak_mib() -> float:
    """The sum of the peaks of this process and its running descendants."""
    return sum(_peak_kib(pid) for pid in _with_children(os.getpid())) / 1024


def _with_children(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _with_children(int(child))
    return found


def _peak_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0
