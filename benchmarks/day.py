"""A day from messages to published board, as commands a user types, beside the original sketch's two DAGs on Airflow.

Ours read a Kafka topic. The sketch has its messages as a list in the program, which is handed to it as a file of JSON:
it is spared the broker, and the messages that cannot be read, of which it would die.
"""

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import polars as pl
from confluent_kafka import Producer

from benchmarks.ground import RIVALS, Ground, materialize
from benchmarks.rows import Row, times_less
from benchmarks.servers import DAY
from benchmarks.watched import Taken, watch
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.names import board_key, stats_key
from game_analytics.rules.days import milliseconds_ceil
from game_analytics.simulation.trouble import MALFORMED
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics.sources.kafka.topic import Topic

_LARGE = 1_000_000
_SMALLEST = 10_000

_DAY = date.fromisoformat(DAY)
_MIDNIGHT = datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC)
_SKETCH = "the sketch's DAGs on Airflow"
_DAGS = ("game_event_producer", "game_leaderboard")

_UNREADABLE = frozenset(value for values in MALFORMED.values() for value in values)

# The sketch's own.
_EXAMPLE = tuple(
    msgspec.json.encode({"player_id": player, "event_type": event_type, "game_id": "g001"})
    for player, event_type in (
        ("p123", "KILL"),
        ("p123", "KILL"),
        ("p123", "DEATH"),
        ("p456", "KILL"),
        ("p456", "DEATH"),
        ("p456", "DEATH"),
    )
)


@dataclass(frozen=True)
class _Sums:
    """What a stats file adds up to."""

    players: int
    kills: int
    deaths: int


@dataclass(frozen=True)
class _Day:
    """A topic that holds it, the same messages as the sketch's list, and what stats come of them."""

    events: int
    topic: str
    file: Path
    ours: _Sums
    theirs: _Sums
    """The sketch counts repeated events twice, and takes those of other days for the day's own."""


def measure(ground: Ground) -> Sequence[Row]:
    """Time and memory of a large day, and the time of the six events of the sketch's example."""
    amount = ground.scaled(_LARGE, _SMALLEST)
    large, example = _prepared(ground, ground.topic_of_a_day(amount), amount), _example(ground)
    airflow = _Airflow(ground)
    ours, theirs = _measured(ground, airflow, large)
    our_least, their_least = _measured(ground, airflow, example)
    what = "a day of {:,} events, messages to board".format
    return [
        times_less(what(amount), "s", _seconds(ours), _SKETCH, _seconds(theirs), 10),
        times_less("the same, peak memory", "MiB", _mebibytes(ours), _SKETCH, _mebibytes(theirs), 4),
        times_less(what(len(_EXAMPLE)), "s", _seconds(our_least), _SKETCH, _seconds(their_least), 4),
    ]


def _measured(ground: Ground, airflow: "_Airflow", day: _Day) -> tuple[list[Taken], list[Taken]]:
    """Ours and the sketch's in turn."""
    ours: list[Taken] = []
    theirs: list[Taken] = []
    for run in range(1, ground.runs + 1):
        for name, way, runs in (("ours", _materialize, ours), (_SKETCH, airflow.test, theirs)):
            taken = way(ground, day)
            runs.append(taken)
            ground.tell(
                f"day of {day.events:,}, run {run} of {ground.runs}, {name}: {taken.seconds:.2f} s, "
                f"{taken.peak_mib:,.0f} MiB"
            )
    return ours, theirs


def _seconds(runs: Sequence[Taken]) -> list[float]:
    return [taken.seconds for taken in runs]


def _mebibytes(runs: Sequence[Taken]) -> list[float]:
    return [taken.peak_mib for taken in runs]


def _materialize(ground: Ground, day: _Day) -> Taken:
    """Ours: one command."""
    bucket, folder = ground.new_bucket(), ground.new_folder("ours")
    environment = ground.environment(bucket, folder, **ground.from_kafka(day.topic))
    taken = watch(materialize("game_analytics.definitions"), folder, environment, folder / "log")
    _ensure_published(ground, bucket, day.ours)
    return taken


class _Airflow:
    """Airflow as its users have it: a database that is migrated, the sketch's DAGs, no examples."""

    def __init__(self, ground: Ground) -> None:
        home = ground.new_folder("airflow")
        self._home = home
        self._database = home / "airflow.db"
        self._as_migrated = home / "migrated.db"
        self._program = ground.rivals_python.with_name("airflow")
        _lay_httpfs(ground.rivals_python, ground.folder)
        ground.tell("preparing Airflow's database")
        subprocess.run(  # noqa: S603 - a program of ours
            [self._program, "db", "migrate"],
            env=self._environment(ground, "unused"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=True,
        )
        shutil.copy(self._database, self._as_migrated)

    def test(self, ground: Ground, day: _Day) -> Taken:
        """The sketch: one command for each of its DAGs, one after the other."""
        bucket = ground.new_bucket()
        # What an earlier run left there, a day's events among it, is not this run's burden.
        for leftover in self._home.glob(f"{self._database.name}*"):
            leftover.unlink()
        shutil.copy(self._as_migrated, self._database)
        environment = self._environment(ground, bucket) | {"SKETCH_EVENTS": str(day.file)}
        runs = [
            watch([self._program, "dags", "test", dag, DAY], self._home, environment, self._home / f"{dag}.log")
            for dag in _DAGS
        ]
        _ensure_published(ground, bucket, day.theirs)
        return Taken(sum(taken.seconds for taken in runs), [look for taken in runs for look in taken.memory])

    def _environment(self, ground: Ground, bucket: str) -> dict[str, str]:
        connection = {
            "conn_type": "aws",
            "login": ground.s3.access_key_id,
            "password": ground.s3.secret_access_key,
            "extra": {"endpoint_url": ground.s3.url, "region_name": ground.s3.region},
        }
        return ground.environment(
            bucket,
            self._home,
            TMPDIR=str(self._home),
            AIRFLOW_HOME=str(self._home),
            AIRFLOW__CORE__DAGS_FOLDER=str(RIVALS / "airflow_dags"),
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW_CONN_AWS_LOCALSTACK=msgspec.json.encode(connection).decode(),
        )


def _lay_httpfs(python: Path, home: Path) -> None:
    """DuckDB's extension where `INSTALL httpfs` finds it, as if it had been installed before: out of the package that
    the rivals' environment has."""
    [packaged] = python.parents[1].glob("lib/python*/site-packages/duckdb_extension_httpfs/extensions")
    [platform] = duckdb.execute("PRAGMA platform").fetchone() or [""]
    for version in packaged.iterdir():
        there = home / ".duckdb" / "extensions" / version.name / platform
        there.mkdir(parents=True)
        shutil.copy(version / "httpfs.duckdb_extension", there)


def _ensure_published(ground: Ground, bucket: str, expected: _Sums) -> None:
    """Raises `GameAnalyticsError` unless the stats are those of the day's messages, and a board is there."""
    lake = ground.lake(bucket)
    stats, board = lake.get(stats_key(_DAY)), lake.get(board_key(_DAY))
    if stats is None or board is None:
        raise GameAnalyticsError(f"{bucket} has no stats, or no board.")
    found = _sums(pl.read_parquet(io.BytesIO(stats.body)))
    if found != expected:
        raise GameAnalyticsError(f"The stats in {bucket} add up to {found}, and the day's messages to {expected}.")
    ranked = pl.read_parquet(io.BytesIO(board.body)).height
    if ranked != min(10, expected.players):
        raise GameAnalyticsError(f"The board in {bucket} has {ranked} players.")


def _sums(stats: pl.DataFrame) -> _Sums:
    return _Sums(stats.height, int(stats["kills"].sum()), int(stats["deaths"].sum()))


def _example(ground: Ground) -> _Day:
    """The sketch's own example, at noon. It has no times, so those of the messages count."""
    topic = "day-of-the-sketch"
    Topic(KafkaSettings(ground.broker.bootstrap_servers, topic)).create(1)
    producer = Producer({"bootstrap.servers": ground.broker.bootstrap_servers})
    for value in _EXAMPLE:
        producer.produce(topic, value, timestamp=milliseconds_ceil(_MIDNIGHT + timedelta(hours=12)))
    if producer.flush(30):
        raise GameAnalyticsError("Kafka did not take the sketch's example.")
    return _prepared(ground, topic, len(_EXAMPLE))


def _prepared(ground: Ground, topic: str, events: int) -> _Day:
    """What the topic holds, as the sketch's list and as sums, counted in a way of its own."""
    log = KafkaEventLog(KafkaSettings(ground.broker.bootstrap_servers, topic))
    values = [
        value
        for partition, extent in log.extents().items()
        for batch in log.read(partition, extent.low, extent.high, max_messages=50_000, max_bytes=2**25)
        for value in batch["value"]
        if value not in _UNREADABLE
    ]
    file = ground.folder / f"{topic}.json"
    file.write_bytes(b"[" + b",".join(values) + b"]")
    fields = {name: pl.String() for name in ("player_id", "event_type", "event_id", "ts")}
    listed = pl.DataFrame([msgspec.json.decode(value) for value in values], schema=fields)
    eliminations = listed.filter(pl.col("event_type").is_in(["KILL", "DEATH"]))
    of_the_day = eliminations.filter(pl.col("ts").fill_null(DAY).str.starts_with(DAY))
    is_first = pl.struct("player_id", "event_type", "event_id").is_first_distinct()
    once = of_the_day.filter(pl.col("event_id").is_null() | is_first)
    # The sketch also has a row for whoever neither killed nor died.
    return _Day(events, topic, file, ours=_counted(once), theirs=_counted(listed))


def _counted(events: pl.DataFrame) -> _Sums:
    kinds = events["event_type"]
    return _Sums(events["player_id"].n_unique(), int((kinds == "KILL").sum()), int((kinds == "DEATH").sum()))
