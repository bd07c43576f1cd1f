"""One evaluation of the sensor `new_stats_file` over a thousand days whose boards are made, beside two bare listings.

What is timed is what the code server does for a tick: its resources, an instance on the SQLite files that `dagster dev`
keeps, the facts, the decision. The process lives on from tick to tick, as a code server does; its first tick, which
learns what all the others remember, is told as a row of its own; and so is that of one which no record helps, as with a
new history or another bucket, and which has to look into each object.
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

from benchmarks.ground import PROJECT, Ground
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


def measure(ground: Ground) -> Sequence[Row]:
    """None new and one new: under a second, and at most three times the listing."""
    days = [date.fromisoformat(key) for key in daily.get_partition_keys()[: ground.scaled(_DAYS, at_least=25)]]
    bucket, home = ground.new_bucket(), ground.new_folder("tick")
    environment = ground.environment(bucket, home)
    ground.tell(f"recording {len(days):,} boards")
    _record_boards(ground, bucket, home, days)
    taken = _taken(ground, days[-1].isoformat(), environment)
    for run, (listing, none, one) in enumerate(zip(taken.listing, taken.none_new, taken.one_new, strict=True), 1):
        ground.tell(f"run {run}: listing {listing:.3f} s, tick with none new {none:.3f} s, with one new {one:.3f} s")
    ground.tell(f"the first tick of the process: {taken.first:.3f} s")
    unrecorded = _taken(ground, days[-1].isoformat(), ground.environment(bucket, ground.new_folder("tick")), runs=0)
    ground.tell(f"the first tick without records: {unrecorded.first:.3f} s")
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


def _taken(ground: Ground, day: str, environment: Mapping[str, str], runs: int | None = None) -> Taken:
    words = ["-m", "benchmarks.ticking", str(ground.runs if runs is None else runs), day]
    told = subprocess.run([sys.executable, *words], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603
    return msgspec.json.decode(told.stdout, type=Taken)


def _record_boards(ground: Ground, bucket: str, home: Path, days: Sequence[date]) -> None:
    """A stats file and a board of each day, and its record in the instance, with a run of its own.

    One is made by a run. What it leaves is the pattern of all others, since a thousand runs take minutes and leave the
    same.
    """
    lake = ground.lake(bucket)
    stats = {day: stats_file(number) for number, day in enumerate(days)}
    etags = {day: lake.put(stats_key(day), body) for day, body in stats.items()}
    definitions = pipeline(MemoryEventLogResource(), _lake_resource(ground, bucket), PipelineSettings())
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
            told = made._replace(
                partition=day.isoformat(),
                metadata={**made.metadata, **{name: dg.MetadataValue.text(value) for name, value in facts.items()}},
                tags={name: value.replace(pattern_day, day.isoformat()) for name, value in (made.tags or {}).items()},
            )
            instance.add_run(run._replace(run_id=str(uuid.uuid4()), tags=tags))
            data = event.step_materialization_data._replace(materialization=told)
            # Among the events of the first run, since Dagster takes longer to make a file for each run than to run it.
            instance.store_event(pattern._replace(dagster_event=event._replace(event_specific_data=data)))


def _put_board(lake: Lake, day: date, stats: bytes) -> Mapping[str, str]:
    """A board that says what a run's would say of itself. What its record tells."""
    made_from = hashlib.sha256(stats).hexdigest()
    metadata = {STATS_SHA256: made_from, RULE_VERSION_KEY: RULE_VERSION, MIN_ENGAGEMENTS: "0"}
    body = to_parquet(pl.DataFrame(schema=BOARD), metadata)
    etag = lake.put(board_key(day), body)
    return {"etag": etag, "sha256": hashlib.sha256(body).hexdigest(), "source_sha256": made_from}


def _lake_resource(ground: Ground, bucket: str) -> LakeResource:
    return LakeResource(
        bucket=bucket,
        s3=S3Resource(
            endpoint_url=ground.s3.url,
            region_name=ground.s3.region,
            aws_access_key_id=ground.s3.access_key_id,
            aws_secret_access_key=ground.s3.secret_access_key,
        ),
    )


def stats_file(number: int) -> bytes:
    """A small one, another for each number."""
    players = [f"p{player:05}" for player in range(_PLAYERS)]
    kills = [number + player for player in range(_PLAYERS)]
    frame = pl.DataFrame({"player_id": players, "kills": kills, "deaths": [1] * _PLAYERS})
    return to_parquet(frame)
