"""What all rows stand on: the servers, buckets of their own, the rivals' environment, and how to say what goes on."""

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
class Ground:
    """Servers that run, and a folder that goes when all is measured."""

    folder: Path
    s3: S3Endpoint
    runs: int
    scale: float
    """1 for what is asked; a smaller share of it for a look."""
    tell: Callable[[str], None]
    _stack: ExitStack = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    _topics: set[str] = field(default_factory=set, repr=False)

    def scaled(self, amount: int, at_least: int = 1) -> int:
        """So many of what is asked."""
        return max(at_least, round(amount * self.scale))

    def new_bucket(self) -> str:
        """An empty one, into which something was written before: SeaweedFS takes 0.2 s to lay out the files of a bucket
        when its first object comes, and a user's bucket has had that."""
        name = f"bench-{next(self._numbers)}"
        make_bucket(self.s3, name)
        lake = self.lake(name)
        lake.put("first", b"of the bucket")
        lake.delete(["first"])
        return name

    def new_folder(self, name: str) -> Path:
        """An empty one, below the one that goes at the end."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        return folder

    def lake(self, bucket: str) -> Lake:
        """The bucket as the project sees it."""
        return lake_at(self.s3, bucket)

    def from_kafka(self, topic: str) -> dict[str, str]:
        """The variables of a user whose events are in this topic."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers, "KAFKA_TOPIC": topic}

    def environment(self, bucket: str, home: Path, **more: str) -> dict[str, str]:
        """The variables of a user whose commands work on this bucket, with Dagster's history in ``home``."""
        (home / "dagster.yaml").touch()
        variables = stack_variables(self.s3, bucket, home, "http://127.0.0.1:3000")
        return with_stack(without_settings(os.environ), variables) | {"HOME": str(self.folder), **more}

    @cached_property
    def broker(self) -> Broker:
        """Kafka, started when it is first asked for."""
        self.tell("starting Kafka")
        return self._stack.enter_context(Broker(find_kafka(), self.folder / "kafka"))

    def topic_of_a_day(self, events: int) -> str:
        """A topic that holds a simulated `DAY` with so many events, published as anybody would, once."""
        topic = f"day-of-{events}"
        if topic not in self._topics:
            self.tell(f"publishing a day of {events:,} events")
            publish_day(self.broker, topic, events)
            self._topics.add(topic)
        return topic

    @cached_property
    def rivals_python(self) -> Path:
        """The Python of the rivals' environment, which is made when it is first asked for and kept in `.local`."""
        constraints, ready = RIVALS / "constraints.txt", _THEIR_ENVIRONMENT / "ready"
        python = _THEIR_ENVIRONMENT / "bin" / "python"
        if not ready.exists() or ready.stat().st_mtime < constraints.stat().st_mtime:
            self.tell("installing Airflow, Spark, pandas, Daft (once)")
            self._uv("venv", "--clear", "--python", sys.executable, _THEIR_ENVIRONMENT)
            wanted = RIVALS / "requirements.in"
            where = ("--python", python, "--constraint", constraints, "--compile-bytecode")
            self._uv("pip", "install", *where, "--requirement", wanted)
            ready.touch()
        return python

    def _uv(self, *words: str | Path) -> None:
        subprocess.run([program("uv"), "--quiet", *words], check=True)  # noqa: S603 - a program of ours


def lake_at(s3: S3Endpoint, bucket: str) -> Lake:
    """A bucket on this server as the project sees it."""
    return Lake(LakeSettings(bucket, s3.url, s3.region, s3.access_key_id, s3.secret_access_key))


def materialize(module: str) -> list[str | Path]:
    """The command by which a user has all assets of `DAY` made."""
    return [program("dagster"), "asset", "materialize", "-m", module, "--select", "*", "--partition", DAY]


@contextmanager
def prepared_ground(folder: Path, runs: int, scale: float, tell: Callable[[str], None]) -> Iterator[Ground]:
    """SeaweedFS runs, and what else is asked for, until the block ends."""
    with s3_server(folder / "s3") as server, ExitStack() as stack:
        yield Ground(folder, server.endpoint, runs, scale, tell, stack)
