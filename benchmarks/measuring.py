"""One measured run, in a process of its own, so that imports, caches and peak memory are its own.

The process reads its job from standard input and writes its usage to standard output, both as JSON.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import msgspec

_ROOT = Path(__file__).parents[1]
_ENDS_WITHIN_SECONDS = 1800


@dataclass(frozen=True)
class Job:
    """The topic to read completely, and the bucket to write to."""

    bootstrap_servers: str
    topic: str
    ends: list[int]
    """The end offset of each partition; all begin at 0 and have no gaps."""
    s3_url: str
    s3_region: str
    s3_access_key_id: str
    s3_secret_access_key: str = field(repr=False)
    bucket: str

    @property
    def messages(self) -> int:
        """How many the topic holds."""
        return sum(self.ends)


@dataclass(frozen=True)
class Usage:
    """What the work took, without imports and start of the program itself, but with those of its children."""

    messages: int
    cpu_seconds: float
    """User and system time of all threads, and of all child processes."""
    wall_seconds: float
    peak_bytes: int
    """Resident memory at its peak; of several processes the sum of each one's own peak, which is an upper bound."""

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds for a million messages."""
        return self.cpu_seconds / self.messages * 1_000_000


def run_program(module: str, arguments: Sequence[str], job: bytes = b"") -> bytes:
    """Run a module of this package with ``job`` as standard input, and return its standard output."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(  # noqa: S603 - our own program, no shell
        command, cwd=_ROOT, input=job, stdout=subprocess.PIPE, timeout=_ENDS_WITHIN_SECONDS, check=True
    ).stdout


def run_job(module: str, arguments: Sequence[str], job: Job) -> Usage:
    """Run the job with this module of the package, and return its usage.

    Raises `ValueError` if it did not read every message of the topic.
    """
    usage = msgspec.json.decode(run_program(module, arguments, msgspec.json.encode(job)), type=Usage)
    if usage.messages != job.messages:
        raise ValueError(f"{module} read {usage.messages:,} of the {job.messages:,} messages of {job.topic}.")
    return usage


def measure(work: Callable[[Job], int], children: int = 0) -> None:
    """Run the job of standard input and print its `Usage`. ``work`` returns how many messages it read, and starts at
    most ``children`` child processes."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    messages = work(job)
    usage = Usage(messages, _cpu_seconds() - cpu, time.perf_counter() - wall, _peak_bytes(children))
    sys.stdout.buffer.write(msgspec.json.encode(usage))


def _cpu_seconds() -> float:
    usages = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_bytes(children: int) -> int:
    """The kernel reports only the largest peak of all children, so that is taken for each of them."""
    # Linux counts in KiB, and a process begins with the peak of its parent, so `kafka.py` must stay small.
    return 1024 * (getrusage(RUSAGE_SELF).ru_maxrss + children * getrusage(RUSAGE_CHILDREN).ru_maxrss)
