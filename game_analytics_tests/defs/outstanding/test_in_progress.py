"""Days that unfinished runs and backfills cover, however those were launched and name their days."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from game_analytics.defs.outstanding.in_progress import STALLED_AFTER, Scope, days_in_progress
from game_analytics_tests.support.harness import ALL, Pipeline
from game_analytics_tests.support.ticks import ann_leads, stats_file, tick

RAW, STATS, BOARD = (dg.AssetKey(name) for name in ("raw_events", "daily_player_stats", "top10_leaderboard"))
DAYS = [f"2025-12-{day}" for day in range(26, 32)]
MIDDLE = ["2025-12-28", "2025-12-29"]


def range_tags(first: str, last: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}


def scope(pipeline: Pipeline, location: str | None = None) -> Scope:
    return Scope(pipeline.instance, pipeline.definitions.get_repository_def(), pipeline.lake.place, location)


def covered(pipeline: Pipeline, asset: dg.AssetKey = BOARD) -> list[str]:
    return sorted(days_in_progress(scope(pipeline), asset, DAYS))


def launch(
    pipeline: Pipeline,
    job: str,
    tags: dict[str, str],
    *,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    selection: frozenset[dg.AssetKey] | None = None,
    location: str | None = None,
) -> dg.DagsterRun:
    origin = None
    if location is not None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        origin = RemoteJobOrigin(repository, job)
    return pipeline.instance.add_run(
        dg.DagsterRun(job, status=status, tags=tags, asset_selection=selection, remote_job_origin=origin)
    )


def test_a_range_launched_in_the_ui_covers_its_boards(pipeline: Pipeline) -> None:
    """Its stats are published and its boards are not yet."""
    for day in DAYS:
        pipeline.put(stats_file(day), ann_leads())
    launch(pipeline, ALL, range_tags("2025-12-26", "2025-12-30"), selection=frozenset({RAW, STATS, BOARD}))
    assert tick(pipeline).days == ["2025-12-31"]


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_counts_from_the_queue_to_its_end(pipeline: Pipeline, status: dg.DagsterRunStatus) -> None:
    launch(pipeline, "leaderboard_job", range_tags(*MIDDLE), status=status, location="game_analytics")
    assert covered(pipeline) == MIDDLE


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
def test_a_run_that_has_ended_covers_nothing(pipeline: Pipeline, status: dg.DagsterRunStatus) -> None:
    launch(pipeline, "leaderboard_job", range_tags(*MIDDLE), status=status)
    assert covered(pipeline) == []


def test_a_backfill_of_one_day_carries_a_range(pipeline: Pipeline) -> None:
    launch(pipeline, ALL, {**range_tags(DAYS[0], DAYS[0]), "dagster/backfill": "abc"}, selection=frozenset({BOARD}))
    assert covered(pipeline) == [DAYS[0]]


def test_a_run_of_a_single_day_names_it_as_partition(pipeline: Pipeline) -> None:
    launch(pipeline, "leaderboard_job", {"dagster/partition": DAYS[1]})
    assert covered(pipeline) == [DAYS[1]]


def test_without_a_selection_a_run_covers_all_assets_of_its_job(pipeline: Pipeline) -> None:
    launch(pipeline, "daily_stats_job", range_tags(*MIDDLE))
    assert (covered(pipeline, RAW), covered(pipeline, STATS), covered(pipeline, BOARD)) == (MIDDLE, MIDDLE, [])


def test_with_a_selection_a_run_covers_only_those_assets(pipeline: Pipeline) -> None:
    launch(pipeline, ALL, range_tags(*MIDDLE), selection=frozenset({RAW}))
    assert (covered(pipeline, RAW), covered(pipeline, STATS)) == (MIDDLE, [])


def test_a_run_without_days_or_of_a_job_that_is_gone_covers_nothing(pipeline: Pipeline) -> None:
    launch(pipeline, "freshness_job", {"game_analytics/day": DAYS[0]})
    launch(pipeline, "a_job_of_an_older_version", range_tags(*MIDDLE))
    launch(pipeline, ALL, {}, selection=frozenset({BOARD}))
    assert covered(pipeline) == []


def test_runs_of_another_code_location_or_lake_do_not_count(pipeline: Pipeline) -> None:
    ours = scope(pipeline, "game_analytics")
    launch(pipeline, "leaderboard_job", range_tags(DAYS[0], DAYS[0]), location="staging")
    launch(pipeline, "leaderboard_job", {**range_tags(DAYS[1], DAYS[1]), "game_analytics/lake": "s3://staging"})
    assert days_in_progress(ours, BOARD, DAYS) == set()
    launch(pipeline, "leaderboard_job", range_tags(DAYS[2], DAYS[2]), location="game_analytics")
    launch(pipeline, "leaderboard_job", range_tags(DAYS[3], DAYS[3]))  # launched by a command line
    assert days_in_progress(ours, BOARD, DAYS) == {DAYS[2], DAYS[3]}


def test_a_run_without_an_update_for_a_day_no_longer_counts(pipeline: Pipeline) -> None:
    """The process of a command line was killed, so its end was never reported to Dagster."""
    launch(pipeline, "leaderboard_job", range_tags(*MIDDLE))
    now = datetime.now(UTC)
    soon, later = now + STALLED_AFTER - timedelta(minutes=5), now + STALLED_AFTER + timedelta(minutes=5)
    assert days_in_progress(scope(pipeline), BOARD, DAYS, soon) == set(MIDDLE)
    assert days_in_progress(scope(pipeline), BOARD, DAYS, later) == set()


def subset(pipeline: Pipeline, days: list[str]) -> AssetGraphSubset:
    partitions = {AssetKeyPartitionKey(key, day) for key in (STATS, BOARD) for day in days}
    return AssetGraphSubset.from_asset_partition_set(partitions, pipeline.definitions.resolve_asset_graph())


def backfill(pipeline: Pipeline, status: BulkActionStatus, *, done: list[str]) -> PartitionBackfill:
    """A backfill of stats and boards of all days, with runs for ``done`` already launched."""
    graph = pipeline.definitions.resolve_asset_graph()
    asked: PartitionBackfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id="abc",
        backfill_timestamp=datetime.now(UTC).timestamp(),
        tags={},
        dynamic_partitions_store=pipeline.instance,
        asset_graph_subset=subset(pipeline, DAYS),
        title=None,
        description=None,
        run_config=None,
    )
    data = asked.get_asset_backfill_data(graph).replace_requested_subset(subset(pipeline, done))
    made: PartitionBackfill = asked.with_status(status).with_asset_backfill_data(data, pipeline.instance, graph)
    return made


def test_a_backfill_that_has_not_launched_its_runs_yet_counts(pipeline: Pipeline) -> None:
    pipeline.instance.add_backfill(backfill(pipeline, BulkActionStatus.REQUESTED, done=MIDDLE))
    assert covered(pipeline) == covered(pipeline, STATS) == [day for day in DAYS if day not in MIDDLE]
    assert covered(pipeline, RAW) == []


@pytest.mark.parametrize("status", [BulkActionStatus.COMPLETED_SUCCESS, BulkActionStatus.CANCELED])
def test_a_backfill_that_has_ended_covers_nothing(pipeline: Pipeline, status: BulkActionStatus) -> None:
    pipeline.instance.add_backfill(backfill(pipeline, status, done=[]))
    assert covered(pipeline) == []
