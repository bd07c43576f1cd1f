"""Stats per player from a large day of raw events in S3: ours beside the engines that would do the same.

Every program reads the same objects and writes one file per player back, each event counted once. What is timed is
that work alone: imports, connections and the start of Spark's session are not.
"""

from datetime import date
from io import BytesIO

import polars as pl
from polars.testing import assert_frame_equal

from benchmarks.ground import PROJECT, Ground
from benchmarks.jobs import Answer, DidNotFinish, job_for, run_ours, run_rival
from benchmarks.raw_day import store_raw_day
from benchmarks.rivals.job import Job
from benchmarks.rows import Row, at_most_times
from benchmarks.servers import DAY
from benchmarks.spark_jars import fetched
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import stats_key
from game_analytics.rules.player_stats import STATS

_ASKED_OF = 50_000_000
_FAR_BEHIND = 3
"""Who takes so many times the fastest one's first run is not asked again: it would take most of the hour to learn by
how much exactly."""
_OURS = "ours"
_RIVALS = {
    "DuckDB": "stats_duckdb.py",
    "Daft": "stats_daft.py",
    "Spark": "stats_spark.py",
    "pandas": "stats_pandas.py",
}


def measure(ground: Ground) -> list[Row]:
    """Ours and the others by turns. One that does not finish is told, and left out from then on; one that is far behind
    keeps its first run."""
    events = ground.scaled(_ASKED_OF, at_least=100_000)
    bucket = ground.new_bucket()
    lake = ground.lake(bucket)
    ground.tell(f"storing {events:,} raw events")
    objects = store_raw_day(lake, date.fromisoformat(DAY), events).keys("raw")
    jars = fetched(PROJECT / ".local" / "rivals-jars")
    taken: dict[str, list[float]] = {name: [] for name in (_OURS, *_RIVALS)}
    for _ in range(ground.runs):
        expected: pl.DataFrame | None = None
        fastest = min((runs[0] for runs in taken.values() if runs), default=float("inf"))
        for name in [name for name, runs in taken.items() if not runs or runs[0] < _FAR_BEHIND * fastest]:
            result = stats_key(date.fromisoformat(DAY)) if name == _OURS else f"results/{name}.parquet"
            lake.delete([found.key for found in lake.listing(result)])
            try:
                answer = _run(ground, name, job_for(ground, bucket, objects, result, jars))
            except DidNotFinish as fault:
                if name == _OURS:
                    raise
                ground.tell(f"stats by {name}: {fault}")
                del taken[name]
                continue
            stats = _written(lake, result)
            expected = stats if expected is None else expected
            assert_frame_equal(stats, expected)
            taken[name].append(answer.seconds)
            ground.tell(
                f"stats by {name}: {answer.seconds:.2f} s, {answer.peak_mib:,.0f} MiB, {stats.height:,} players, "
                f"{stats.select(pl.sum('kills', 'deaths')).sum_horizontal().item():,} events that count"
            )
    ours = taken.pop(_OURS)
    return [at_most_times(f"stats from {events:,} raw events in S3", "s", ours, taken, 1.1)]


def _run(ground: Ground, name: str, job: Job) -> Answer:
    if name == _OURS:
        return run_ours(ground, "stats", job)
    return run_rival(ground, _RIVALS[name], job)


def _written(lake: Lake, result: str) -> pl.DataFrame:
    """What a program wrote, as one file or as several in a folder, as `STATS` and sorted."""
    bodies = [stored.body for found in lake.listing(result) if (stored := lake.get(found.key)) and stored.body]
    parts = [pl.read_parquet(BytesIO(body)) for body in bodies if body.startswith(b"PAR1")]
    return pl.concat(parts).select(pl.col(name).cast(dtype) for name, dtype in STATS.items()).sort("player_id")
