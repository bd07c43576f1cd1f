"""What all benchmarks use: servers, empty buckets and folders, the rivals' environment, and progress messages."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

from benchmarks.servers import DAY, program, publish_day, s3_server
from game_analytics.lake.bucket import Lake, LakeSettings
from game_analytics.local_stack.endpoint import S3Endpoint, make_bucket
from game_analytics.local_stack.environment import stack_variables, with_stack, without_settings
from game_analytics.local_stack.kafka_broker import Broker, find_kafka

PROJECT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "rivals"
_THEIR_ENVIRONMENT = PROJECT / ".local" / "rivals"


@dataclass(frozen=True)
class Bench:
    """Running servers, and a folder that is removed at the end."""

    folder: Path
    s3: S3Endpoint
    runs: int
    scale: float
    """1 for the full amounts, less for a quick look."""
    report: Callable[[str], None]
    """Prints a line of progress."""
    _stack: ExitStack = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    _topics: set[str] = field(default_factory=set, repr=False)

    def scaled(self, amount: int, at_least: int = 1) -> int:
        """The amount times `scale`, but at least ``at_least``."""
        return max(at_least, round(amount * self.scale))

    def new_bucket(self) -> str:
        """The name of a new, empty bucket, in which an object was written and deleted: SeaweedFS takes 0.2 s more for
        the first object of a bucket, which a user's bucket has already."""
        name = f"bench-{next(self._numbers)}"
        make_bucket(self.s3, name)
        lake = self.lake(name)
        lake.put("first", b"object")
        lake.delete(["first"])
        return name

    def new_folder(self, name: str) -> Path:
        """A new, empty folder that is removed at the end."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        return folder

    def lake(self, bucket: str) -> Lake:
        """The bucket as the project opens it."""
        return lake_at(self.s3, bucket)

    def from_kafka(self, topic: str) -> dict[str, str]:
        """The environment variables of a user whose events are in this topic."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers, "KAFKA_TOPIC": topic}

    def environment(self, bucket: str, home: Path, **more: str) -> dict[str, str]:
        """The environment variables of a user whose lake is this bucket and whose Dagster home is ``home``."""
        (home / "dagster.yaml").touch()
        variables = stack_variables(self.s3, bucket, home, "http://127.0.0.1:3000")
        return with_stack(without_settings(os.environ), variables) | {"HOME": str(self.folder), **more}

    @cached_property
    def broker(self) -> Broker:
        """Kafka, started when it is first used."""
        self.report("starting Kafka")
        return self._stack.enter_context(Broker(find_kafka(), self.folder / "kafka"))

    def topic_of_a_day(self, events: int) -> str:
        """A topic with a simulated `DAY` of so many events, published when it is first used."""
        topic = f"day-of-{events}"
        if topic not in self._topics:
            self.report(f"publishing a day of {events:,} events")
            publish_day(self.broker, topic, events)
            self._topics.add(topic)
        return topic

    @cached_property
    def rivals_python(self) -> Path:
        """The Python of the rivals' environment, which is created when it is first used and kept in `.local`."""
        constraints, ready = RIVALS / "constraints.txt", _THEIR_ENVIRONMENT / "ready"
        python = _THEIR_ENVIRONMENT / "bin" / "python"
        if not ready.exists() or ready.stat().st_mtime < constraints.stat().st_mtime:
            self.report("installing Airflow, Spark, pandas, Daft (once)")
            self._uv("venv", "--clear", "--python", sys.executable, _THEIR_ENVIRONMENT)
            wanted = RIVALS / "requirements.in"
            where = ("--python", python, "--constraint", constraints, "--compile-bytecode")
            self._uv("pip", "install", *where, "--requirement", wanted)
            ready.touch()
        return python

    def _uv(self, *words: str | Path) -> None:
        subprocess.run([program("uv"), "--quiet", *words], check=True)  # noqa: S603 - a program of ours


def lake_at(s3: S3Endpoint, bucket: str) -> Lake:
    """A bucket on this server as the project opens it."""
    return Lake(LakeSettings(bucket, s3.url, s3.region, s3.access_key_id, s3.secret_access_key))


def materialize(module: str) -> list[str | Path]:
    """The command by which a user materializes all assets of `DAY`."""
    return [program("dagster"), "asset", "materialize", "-m", module, "--select", "*", "--partition", DAY]


@contextmanager
def open_bench(folder: Path, runs: int, scale: float, report: Callable[[str], None]) -> Iterator[Bench]:
    """Run SeaweedFS, and Kafka when it is first used, until the block ends."""
    with s3_server(folder / "s3") as server, ExitStack() as stack:
        yield Bench(folder, server.endpoint, runs, scale, report, stack)
