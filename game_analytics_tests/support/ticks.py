"""Evaluates sensors, and sets up what they read: files, boards, and runs in every state."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl
from dagster._core.definitions.instigation_logger import get_instigation_log_records
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.lake.bucket import Listed
from game_analytics_tests.support.harness import Pipeline, foreign_stats, parquet

DAY = "2025-12-30"


@dataclass(frozen=True)
class Tick:
    """The result of a tick: the requested runs in order, or the skip message."""

    requests: Sequence[dg.RunRequest]
    skipped: str

    @property
    def days(self) -> list[str]:
        return [str(request.partition_key) for request in self.requests]

    @property
    def request(self) -> dg.RunRequest:
        """The only requested run."""
        (request,) = self.requests
        return request


def tick(pipeline: Pipeline, cursor: str | None = None, sensor: dg.SensorDefinition = new_stats_file) -> Tick:
    """Evaluate the sensor, by calling it and as the daemon does; both must agree and leave the cursor unchanged."""
    with _context(pipeline, cursor) as context:
        called = sensor(context)
        assert context.cursor == cursor
    with _context(pipeline, cursor) as context:
        evaluated = sensor.evaluate_tick(context)
    assert evaluated.cursor == cursor
    requests = list(evaluated.run_requests or [])
    if isinstance(called, dg.SkipReason):
        assert (called.skip_message, []) == (evaluated.skip_message, requests)
        return Tick([], str(called.skip_message))
    assert isinstance(called, dg.SensorResult)
    assert (called.cursor, evaluated.skip_message) == (None, None)
    assert [(each.partition_key, each.run_key) for each in called.run_requests or []] == [
        (each.partition_key, each.run_key) for each in requests
    ]
    return Tick(requests, "")


def _context(pipeline: Pipeline, cursor: str | None) -> dg.SensorEvaluationContext:
    return dg.build_sensor_context(
        pipeline.instance,
        cursor=cursor,
        repository_def=pipeline.definitions.get_repository_def(),
        resources=pipeline.resources,
    )


def run(pipeline: Pipeline, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """Execute the requested run, with the tags that the daemon sets."""
    return pipeline.run(leaderboard_job.name, request.partition_key, tags=_tags(request))


def noted(pipeline: Pipeline, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """Record the requested run in this state, without executing it."""
    return pipeline.instance.add_run(
        dg.DagsterRun(leaderboard_job.name, status=status, tags=_tags(request), remote_job_origin=ORIGIN)
    )


# The origin of the job, without which a run can't be queued.
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(
        RegisteredCodeLocationOrigin("game_analytics"),
        "__repository__",
    ),
    leaderboard_job.name,
)


def _tags(request: dg.RunRequest) -> dict[str, str]:
    # `dagster/sensor_name` and `dagster/partition` are among the request's own tags once it is evaluated.
    return {**request.tags, "dagster/run_key": str(request.run_key), "dagster/tick": "7"}


def make_board(
    pipeline: Pipeline,
    day: str,
    of: bytes | pl.DataFrame,
    *,
    recorded: bool = True,
    rule: tuple[str, str] = ("1", "0"),
) -> str:
    """Write a board that claims to be made from this stats file, and its record. Returns its ETag."""
    source = of if isinstance(of, bytes) else parquet(of)
    sha256 = hashlib.sha256(source).hexdigest()
    version, engagements = rule
    metadata = {
        "game_analytics.stats_sha256": sha256,
        "game_analytics.rule_version": version,
        "game_analytics.min_engagements": engagements,
    }
    buffer = io.BytesIO()
    pl.DataFrame({"rank": [1], "player_id": [sha256]}).write_parquet(buffer, metadata=metadata)
    etag = pipeline.lake.put(board_file(day), buffer.getvalue())
    if recorded:
        note(
            pipeline,
            day,
            lake=pipeline.lake.place,
            etag=etag,
            sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
            source_etag=hashlib.md5(source, usedforsecurity=False).hexdigest(),  # as S3 computes it for a simple upload
            source_sha256=sha256,
            rule_version=version,
            min_engagements=engagements,
        )
    return etag


def note(pipeline: Pipeline, day: str | None, asset: str = "top10_leaderboard", **metadata: str | bool) -> None:
    """Record a materialization without a run."""
    pipeline.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day, metadata=metadata))


def board_file(day: str) -> str:
    return f"leaderboard/{day.replace('-', '_')}_top10.parquet"


def stats_file(day: str) -> str:
    return f"events/{day.replace('-', '_')}_events.parquet"


def listed(pipeline: Pipeline, day: str = DAY) -> Listed:
    (found,) = pipeline.lake.listing(stats_file(day))
    return found


def put_later(pipeline: Pipeline, content: bytes | pl.DataFrame, day: str = DAY) -> str:
    """Write the file again, in a later second than before, since S3 times have whole seconds. Returns its ETag."""
    before = listed(pipeline, day).last_modified
    etag = pipeline.put(stats_file(day), content)
    while listed(pipeline, day).last_modified == before:
        etag = pipeline.put(stats_file(day), content)
    return etag


def ann_leads() -> pl.DataFrame:
    return foreign_stats(ann=(4, 0), bob=(1, 2))


ANN_FIRST = [(1, "ann", 4, 0, 4.0), (2, "bob", 1, 2, 0.5)]


def bob_leads() -> pl.DataFrame:
    return foreign_stats(ann=(4, 8), bob=(6, 2))


BOB_FIRST = [(1, "bob", 6, 2, 3.0), (2, "ann", 4, 8, 0.5)]


LOG_KEY = ["new_stats_file", "tick"]


def log_of_a_tick(pipeline: Pipeline) -> list[str]:
    """The lines of the tick's log."""
    repository = pipeline.definitions.get_repository_def()
    with dg.SensorEvaluationContext(
        instance_ref=pipeline.instance.get_ref(),
        log_key=LOG_KEY,
        repository_def=repository,
        resources=repository.get_top_level_resources(),
        sensor_name="new_stats_file",
    ) as context:
        new_stats_file.evaluate_tick(context)
    return [str(record["msg"]) for record in get_instigation_log_records(pipeline.instance, LOG_KEY)]
