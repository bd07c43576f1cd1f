"""One tick of the sensor `new_stats_file` over a thousand days with boards, compared with only listing both prefixes.

What is timed is what the code server does for a tick: it opens the resources and an instance on the SQLite files of
`dagster dev`, compares the objects and decides. The process stays alive from tick to tick, as a code server does. Two
first ticks have rows of their own: with the records of earlier runs, which later ticks have cached, and without any, as
with a new history or another bucket, where each object must be read.
"""

import hashlib
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import msgspec
import polars as pl
from dagster_aws.s3 import S3Resource

from benchmarks.bench import PROJECT, Bench
from benchmarks.rows import Row, at_most, at_most_times
from benchmarks.ticking import Taken
from game_analytics.definitions import pipeline
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.history import latest_materializations
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, MemoryEventLogResource, PipelineSettings
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.claims import MIN_ENGAGEMENTS, RULE_VERSION_KEY, STATS_SHA256
from game_analytics.lake.names import board_key, stats_key
from game_analytics.rules.leaderboard import BOARD, RULE_VERSION

_DAYS = 1_000
_PLAYERS = 20


def measure(bench: Bench) -> Sequence[Row]:
    """Compares ticks with no new file and with one new file to their goals: a second, and three times the listing."""
    days = [date.fromisoformat(key) for key in daily.get_partition_keys()[: bench.scaled(_DAYS, at_least=25)]]
    bucket, home = bench.new_bucket(), bench.new_folder("tick")
    environment = bench.environment(bucket, home)
    bench.report(f"recording {len(days):,} boards")
    _record_boards(bench, bucket, home, days)
    taken = _taken(bench, days[-1].isoformat(), environment)
    for run, (listing, none, one) in enumerate(zip(taken.listing, taken.none_new, taken.one_new, strict=True), 1):
        bench.report(f"run {run}: listing {listing:.3f} s, tick with none new {none:.3f} s, with one new {one:.3f} s")
    bench.report(f"the first tick of the process: {taken.first:.3f} s")
    unrecorded = _taken(bench, days[-1].isoformat(), bench.environment(bucket, bench.new_folder("tick")), runs=0)
    bench.report(f"the first tick without records: {unrecorded.first:.3f} s")
    listing_of = {"listings": taken.listing}
    what = f"a tick over {len(days):,} days"
    return [
        at_most(f"{what}, the first of a code server", "s", [taken.first], 1),
        at_most(f"{what}, the first without records", "s", [unrecorded.first], 5),
        at_most(f"{what}, none new", "s", taken.none_new, 1),
        at_most_times(f"{what}, none new", "s", taken.none_new, listing_of, 3),
        at_most(f"{what}, one new", "s", taken.one_new, 1),
        at_most_times(f"{what}, one new", "s", taken.one_new, listing_of, 3),
    ]


def _taken(bench: Bench, day: str, environment: Mapping[str, str], runs: int | None = None) -> Taken:
    words = ["-m", "benchmarks.ticking", str(bench.runs if runs is None else runs), day]
    done = subprocess.run([sys.executable, *words], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
    return msgspec.json.decode(done.stdout, type=Taken)


def _record_boards(bench: Bench, bucket: str, home: Path, days: Sequence[date]) -> None:
    """Write a stats file and a board for each day, and record them in the instance, each with its run.

    The first is the result of a real run; the others are copies of its record, since a thousand runs take minutes.
    """
    lake = bench.lake(bucket)
    stats = {day: stats_file(number) for number, day in enumerate(days)}
    etags = {day: lake.put(stats_key(day), body) for day, body in stats.items()}
    definitions = pipeline(MemoryEventLogResource(), _lake_resource(bench, bucket), PipelineSettings())
    key, pattern_day = top10_leaderboard.key, days[0].isoformat()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = definitions.resolve_job_def(leaderboard_job.name)
        run = job.execute_in_process(
            partition_key=pattern_day,
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
        ).dagster_run
        pattern = latest_materializations(instance, key, [pattern_day])[pattern_day].event_log_entry
        event = pattern.get_dagster_event()
        made = event.step_materialization_data.materialization
        for day, etag in list(etags.items())[1:]:
            tags = {**run.tags, "dagster/partition": day.isoformat()}
            facts = {**_put_board(lake, day, stats[day]), "source_etag": etag}
            copied = made._replace(
                partition=day.isoformat(),
                metadata={**made.metadata, **{name: dg.MetadataValue.text(value) for name, value in facts.items()}},
                tags={name: value.replace(pattern_day, day.isoformat()) for name, value in (made.tags or {}).items()},
            )
            instance.add_run(run._replace(run_id=str(uuid.uuid4()), tags=tags))
            data = event.step_materialization_data._replace(materialization=copied)
            # Among the events of the first run, since creating an event file for each run takes longer than the run.
            instance.store_event(pattern._replace(dagster_event=event._replace(event_specific_data=data)))


def _put_board(lake: Lake, day: date, stats: bytes) -> Mapping[str, str]:
    """Store a board with the metadata of a real one. Returns the metadata of its materialization."""
    made_from = hashlib.sha256(stats).hexdigest()
    metadata = {STATS_SHA256: made_from, RULE_VERSION_KEY: RULE_VERSION, MIN_ENGAGEMENTS: "0"}
    body = to_parquet(pl.DataFrame(schema=BOARD), metadata)
    etag = lake.put(board_key(day), body)
    return {"etag": etag, "sha256": hashlib.sha256(body).hexdigest(), "source_sha256": made_from}


def _lake_resource(bench: Bench, bucket: str) -> LakeResource:
    return LakeResource(
        bucket=bucket,
        s3=S3Resource(
            endpoint_url=bench.s3.url,
            region_name=bench.s3.region,
            aws_access_key_id=bench.s3.access_key_id,
            aws_secret_access_key=bench.s3.secret_access_key,
        ),
    )


def stats_file(number: int) -> bytes:
    """A small stats file, different for each number."""
    players = [f"p{player:05}" for player in range(_PLAYERS)]
    kills = [number + player for player in range(_PLAYERS)]
    frame = pl.DataFrame({"player_id": players, "kills": kills, "deaths": [1] * _PLAYERS})
    return to_parquet(frame)
