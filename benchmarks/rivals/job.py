"""What every program gets that does the work of a row by itself, and what it answers: for rivals and for us alike.

A program is a call of `measured` and nothing else. What is timed begins when it has imported and started all that it
needs.
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
    """Which objects to read, where to leave the result, and how S3 is reached."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    bucket: str
    keys: list[str]
    """Of the objects to read."""
    result: str
    """The key to write, or the prefix of the keys, where a program writes several."""
    folder: str
    """For what does not fit into memory."""
    cores: int
    jars: str
    """Where Spark's connector to S3 is, if it is needed."""

    @property
    def uris(self) -> list[str]:
        """Of the objects to read."""
        return [self.uri(key) for key in self.keys]

    def uri(self, key: str) -> str:
        """Of an object in the bucket."""
        return f"s3://{self.bucket}/{key}"

    @property
    def host(self) -> str:
        """The endpoint without its scheme."""
        return urlsplit(self.endpoint_url).netloc


def measured(prepare: Callable[[Job], Callable[[], object]]) -> None:
    """Do the job in the file that the command line's last word but one names; the answer goes to the last one.

    ``prepare`` opens connections and starts engines, which is not timed, and returns the work, which is.
    """
    asked, answer = (Path(word) for word in sys.argv[-2:])
    work = prepare(Job(**json.loads(asked.read_text())))
    started = time.perf_counter()
    said = work()
    seconds = time.perf_counter() - started
    answer.write_text(json.dumps({"seconds": seconds, "peak_mib": _peak_mib(), "said": said}))
    # Not by way of what engines do at their end: Daft's threads crash there, one time of three.
    os._exit(0)


def _peak_mib() -> float:
    """Of this process and those below it that still run, each at its own peak."""
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
