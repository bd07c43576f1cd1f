"""Stats per player from a large day of raw events in S3: ours compared with engines that do the same.

Every program reads the same objects and writes one row per player back to S3, with each event counted once. Only that
work is timed: imports, connections and the start of Spark's session are not.
"""

from datetime import date
from io import BytesIO

import polars as pl
from polars.testing import assert_frame_equal

from benchmarks.bench import PROJECT, Bench
from benchmarks.jobs import Answer, DidNotFinish, job_for, run_ours, run_rival
from benchmarks.raw_day import store_raw_day
from benchmarks.rivals.job import Job
from benchmarks.rows import Row, at_most_times
from benchmarks.servers import DAY
from benchmarks.spark_jars import fetched
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import stats_key
from game_analytics.rules.player_stats import STATS

_EVENTS = 50_000_000
_FAR_BEHIND = 3
"""A program whose first run takes this many times the fastest one's is not run again, to save most of an hour."""
_OURS = "ours"
_RIVALS = {
    "DuckDB": "stats_duckdb.py",
    "Daft": "stats_daft.py",
    "Spark": "stats_spark.py",
    "pandas": "stats_pandas.py",
}


def measure(bench: Bench) -> list[Row]:
    """Runs ours and the others alternately. One that does not finish is reported and then left out; one that is far
    behind keeps its first run."""
    events = bench.scaled(_EVENTS, at_least=100_000)
    bucket = bench.new_bucket()
    lake = bench.lake(bucket)
    bench.report(f"storing {events:,} raw events")
    objects = store_raw_day(lake, date.fromisoformat(DAY), events).keys("raw")
    jars = fetched(PROJECT / ".local" / "rivals-jars")
    taken: dict[str, list[float]] = {name: [] for name in (_OURS, *_RIVALS)}
    for _ in range(bench.runs):
        expected: pl.DataFrame | None = None
        fastest = min((runs[0] for runs in taken.values() if runs), default=float("inf"))
        for name in [name for name, runs in taken.items() if not runs or runs[0] < _FAR_BEHIND * fastest]:
            result = stats_key(date.fromisoformat(DAY)) if name == _OURS else f"results/{name}.parquet"
            lake.delete([found.key for found in lake.listing(result)])
            try:
                answer = _run(bench, name, job_for(bench, bucket, objects, result, jars))
            except DidNotFinish as fault:
                if name == _OURS:
                    raise
                bench.report(f"stats by {name}: {fault}")
                del taken[name]
                continue
            stats = _written(lake, result)
            expected = stats if expected is None else expected
            assert_frame_equal(stats, expected)
            taken[name].append(answer.seconds)
            bench.report(
                f"stats by {name}: {answer.seconds:.2f} s, {answer.peak_mib:,.0f} MiB, {stats.height:,} players, "
                f"{stats.select(pl.sum('kills', 'deaths')).sum_horizontal().item():,} events that count"
            )
    ours = taken.pop(_OURS)
    return [at_most_times(f"stats from {events:,} raw events in S3", "s", ours, taken, 1.1)]


def _run(bench: Bench, name: str, job: Job) -> Answer:
    if name == _OURS:
        return run_ours(bench, "stats", job)
    return run_rival(bench, _RIVALS[name], job)


def _written(lake: Lake, result: str) -> pl.DataFrame:
    """What a program wrote, as one or several files, with the schema of `STATS` and sorted by player."""
    bodies = [stored.body for found in lake.listing(result) if (stored := lake.get(found.key)) and stored.body]
    parts = [pl.read_parquet(BytesIO(body)) for body in bodies if body.startswith(b"PAR1")]
    return pl.concat(parts).select(pl.col(name).cast(dtype) for name, dtype in STATS.items()).sort("player_id")
