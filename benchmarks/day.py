"""A day from messages to published board, as commands a user types, compared with the original sketch's two DAGs on
Airflow.

Ours reads a Kafka topic. The sketch has its messages as a list in the program, which it is given as a JSON file: it
needs no broker, and gets no unreadable messages, at which it would fail.
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

from benchmarks.bench import RIVALS, Bench, materialize
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

# The sketch's own example.
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
class _Totals:
    """The totals of a stats file."""

    players: int
    kills: int
    deaths: int


@dataclass(frozen=True)
class _Day:
    """A day as a topic and as the file of the sketch's list, with the totals that either must produce."""

    events: int
    topic: str
    file: Path
    ours: _Totals
    theirs: _Totals
    """Different, since the sketch counts repeated events twice and includes events of other days."""


def measure(bench: Bench) -> Sequence[Row]:
    """Time and memory of a large day, and the time of the six events of the sketch's example."""
    amount = bench.scaled(_LARGE, _SMALLEST)
    large, example = _prepared(bench, bench.topic_of_a_day(amount), amount), _example(bench)
    airflow = _Airflow(bench)
    ours, theirs = _measured(bench, airflow, large)
    our_example, their_example = _measured(bench, airflow, example)
    what = "a day of {:,} events, messages to board".format
    return [
        times_less(what(amount), "s", _seconds(ours), _SKETCH, _seconds(theirs), 10),
        times_less("the same, peak memory", "MiB", _mebibytes(ours), _SKETCH, _mebibytes(theirs), 4),
        times_less(what(len(_EXAMPLE)), "s", _seconds(our_example), _SKETCH, _seconds(their_example), 4),
    ]


def _measured(bench: Bench, airflow: "_Airflow", day: _Day) -> tuple[list[Taken], list[Taken]]:
    """Measures ours and the sketch alternately."""
    ours: list[Taken] = []
    theirs: list[Taken] = []
    for run in range(1, bench.runs + 1):
        for name, run_day, runs in (("ours", _materialize, ours), (_SKETCH, airflow.test, theirs)):
            taken = run_day(bench, day)
            runs.append(taken)
            bench.report(
                f"day of {day.events:,}, run {run} of {bench.runs}, {name}: {taken.seconds:.2f} s, "
                f"{taken.peak_mib:,.0f} MiB"
            )
    return ours, theirs


def _seconds(runs: Sequence[Taken]) -> list[float]:
    return [taken.seconds for taken in runs]


def _mebibytes(runs: Sequence[Taken]) -> list[float]:
    return [taken.peak_mib for taken in runs]


def _materialize(bench: Bench, day: _Day) -> Taken:
    """Runs ours: one command."""
    bucket, folder = bench.new_bucket(), bench.new_folder("ours")
    environment = bench.environment(bucket, folder, **bench.from_kafka(day.topic))
    taken = watch(materialize("game_analytics.definitions"), folder, environment, folder / "log")
    _ensure_published(bench, bucket, day.ours)
    return taken


class _Airflow:
    """Airflow as its users have it: with a migrated database and the sketch's DAGs, without examples."""

    def __init__(self, bench: Bench) -> None:
        home = bench.new_folder("airflow")
        self._home = home
        self._database = home / "airflow.db"
        self._as_migrated = home / "migrated.db"
        self._program = bench.rivals_python.with_name("airflow")
        _install_httpfs(bench.rivals_python, bench.folder)
        bench.report("preparing Airflow's database")
        subprocess.run(  # noqa: S603 - a program of ours
            [self._program, "db", "migrate"],
            env=self._environment(bench, "unused"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=True,
        )
        shutil.copy(self._database, self._as_migrated)

    def test(self, bench: Bench, day: _Day) -> Taken:
        """Runs the sketch: one command for each of its DAGs."""
        bucket = bench.new_bucket()
        # A fresh database, since what earlier runs left in it would slow this one down.
        for leftover in self._home.glob(f"{self._database.name}*"):
            leftover.unlink()
        shutil.copy(self._as_migrated, self._database)
        environment = self._environment(bench, bucket) | {"SKETCH_EVENTS": str(day.file)}
        runs = [
            watch([self._program, "dags", "test", dag, DAY], self._home, environment, self._home / f"{dag}.log")
            for dag in _DAGS
        ]
        _ensure_published(bench, bucket, day.theirs)
        return Taken(sum(taken.seconds for taken in runs), [look for taken in runs for look in taken.memory])

    def _environment(self, bench: Bench, bucket: str) -> dict[str, str]:
        connection = {
            "conn_type": "aws",
            "login": bench.s3.access_key_id,
            "password": bench.s3.secret_access_key,
            "extra": {"endpoint_url": bench.s3.url, "region_name": bench.s3.region},
        }
        return bench.environment(
            bucket,
            self._home,
            TMPDIR=str(self._home),
            AIRFLOW_HOME=str(self._home),
            AIRFLOW__CORE__DAGS_FOLDER=str(RIVALS / "airflow_dags"),
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW_CONN_AWS_LOCALSTACK=msgspec.json.encode(connection).decode(),
        )


def _install_httpfs(python: Path, home: Path) -> None:
    """Copy DuckDB's extension from the package in the rivals' environment to where `INSTALL httpfs` looks for it."""
    [packaged] = python.parents[1].glob("lib/python*/site-packages/duckdb_extension_httpfs/extensions")
    [platform] = duckdb.execute("PRAGMA platform").fetchone() or [""]
    for version in packaged.iterdir():
        target = home / ".duckdb" / "extensions" / version.name / platform
        target.mkdir(parents=True)
        shutil.copy(version / "httpfs.duckdb_extension", target)


def _ensure_published(bench: Bench, bucket: str, expected: _Totals) -> None:
    """Raises `GameAnalyticsError` unless the bucket has a board, and stats with the totals of the day's messages."""
    lake = bench.lake(bucket)
    stats, board = lake.get(stats_key(_DAY)), lake.get(board_key(_DAY))
    if stats is None or board is None:
        raise GameAnalyticsError(f"{bucket} has no stats or no board.")
    totals = _totals(pl.read_parquet(io.BytesIO(stats.body)))
    if totals != expected:
        raise GameAnalyticsError(f"The stats in {bucket} add up to {totals}, but the day's messages to {expected}.")
    ranked = pl.read_parquet(io.BytesIO(board.body)).height
    if ranked != min(10, expected.players):
        raise GameAnalyticsError(f"The board in {bucket} has {ranked} players.")


def _totals(stats: pl.DataFrame) -> _Totals:
    return _Totals(stats.height, int(stats["kills"].sum()), int(stats["deaths"].sum()))


def _example(bench: Bench) -> _Day:
    """The sketch's own example. Its events have no time, so the timestamps of the messages count: noon."""
    topic = "day-of-the-sketch"
    Topic(KafkaSettings(bench.broker.bootstrap_servers, topic)).create(1)
    producer = Producer({"bootstrap.servers": bench.broker.bootstrap_servers})
    for value in _EXAMPLE:
        producer.produce(topic, value, timestamp=milliseconds_ceil(_MIDNIGHT + timedelta(hours=12)))
    if producer.flush(30):
        raise GameAnalyticsError("Kafka did not take the sketch's example.")
    return _prepared(bench, topic, len(_EXAMPLE))


def _prepared(bench: Bench, topic: str, events: int) -> _Day:
    """The topic's messages as the sketch's list, and their totals, counted independently."""
    log = KafkaEventLog(KafkaSettings(bench.broker.bootstrap_servers, topic))
    values = [
        value
        for partition, extent in log.extents().items()
        for batch in log.read(partition, extent.low, extent.high, max_messages=50_000, max_bytes=2**25)
        for value in batch["value"]
        if value not in _UNREADABLE
    ]
    file = bench.folder / f"{topic}.json"
    file.write_bytes(b"[" + b",".join(values) + b"]")
    fields = {name: pl.String() for name in ("player_id", "event_type", "event_id", "ts")}
    listed = pl.DataFrame([msgspec.json.decode(value) for value in values], schema=fields)
    eliminations = listed.filter(pl.col("event_type").is_in(["KILL", "DEATH"]))
    of_the_day = eliminations.filter(pl.col("ts").fill_null(DAY).str.starts_with(DAY))
    is_first = pl.struct("player_id", "event_type", "event_id").is_first_distinct()
    once = of_the_day.filter(pl.col("event_id").is_null() | is_first)
    # The sketch also has a row for players without a kill or death.
    return _Day(events, topic, file, ours=_counted(once), theirs=_counted(listed))


def _counted(events: pl.DataFrame) -> _Totals:
    kinds = events["event_type"]
    return _Totals(events["player_id"].n_unique(), int((kinds == "KILL").sum()), int((kinds == "DEATH").sum()))
