"""The check `freshness`: its findings, and which day the schedule evaluates."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import polars as pl
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.freshness import freshness_config, freshness_fault
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.lake.manifest import Manifest
from game_analytics.leaderboards.top10 import TOP10
from game_analytics_tests.support.harness import (
    ALL,
    Pipeline,
    foreign_stats,
    given_log,
    parquet,
    pipeline_on,
    small_simulation,
)
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, death, land, utc

DAY = "2025-12-30"
STATS, BOARD = "events/2025_12_30_events.parquet", "leaderboard/2025_12_30_top10.parquet"


def one_kill() -> ListedLog:
    return ListedLog({0: [at(0, "2025-12-30 12:00"), at(1, "2025-12-30 13:00", death("bob"))]})


@pytest.fixture
def published(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """The board of the 30th, from a closed window."""
    with pipeline_on(lake_resource, given_log(one_kill())) as pipeline:
        assert pipeline.run(ALL, DAY).success
        yield pipeline


def verdict(pipeline: Pipeline) -> str:
    """What is wrong with the board of the 30th; empty if nothing is."""
    return freshness_fault(pipeline.lake, TOP10, date(2025, 12, 30)) or ""


def test_a_published_board_is_fresh(published: Pipeline) -> None:
    assert verdict(published) == ""


def test_a_day_without_a_board_fails(published: Pipeline) -> None:
    published.lake.delete([BOARD])
    assert f"/{BOARD} does not exist. Look at the last runs" in verdict(published)


def test_a_day_without_stats_fails_naming_them(published: Pipeline) -> None:
    published.lake.delete([BOARD, STATS])
    assert f"/{STATS} does not exist. Look at the last runs" in verdict(published)


def test_a_stale_board_fails(published: Pipeline) -> None:
    published.put(STATS, foreign_stats(ann=(1, 1)))
    assert f"/{BOARD} is not made from the current stats file" in verdict(published)


def test_a_foreign_board_fails(published: Pipeline) -> None:
    published.put(BOARD, pl.DataFrame({"rank": [1]}))
    assert "is not made from the current stats file" in verdict(published)


def test_a_foreign_board_without_stats_fails(published: Pipeline) -> None:
    published.put(BOARD, pl.DataFrame({"rank": [1]}))
    published.lake.delete([STATS])
    assert "is not made from the current stats file" in verdict(published)


@pytest.mark.trial
def test_stale_stats_fail(published: Pipeline) -> None:
    manifest = published.lake.get("raw/manifests/2025_12_30.json")
    assert manifest is not None
    published.put("raw/manifests/2025_12_30.json", manifest.body + b"\n")
    assert "is not made from the current landing" in verdict(published)


def test_a_missing_landing_fails(published: Pipeline) -> None:
    published.lake.delete(["raw/manifests/2025_12_30.json"])
    assert "is not made from the current landing" in verdict(published)


def test_a_landing_before_its_window_closed_fails(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(one_kill())) as pipeline:
        early = land(one_kill(), pipeline.lake, now=utc("2025-12-31 00:10")).manifest
        assert isinstance(early, Manifest)
        assert not early.window_closed
        for asset in ("daily_player_stats", "top10_leaderboard"):
            assert _alone(pipeline, asset).success
        assert "is made from a landing before its window closed (2025-12-31 01:00 UTC)" in verdict(pipeline)


def _alone(pipeline: Pipeline, asset: str) -> dg.ExecuteInProcessResult:
    return pipeline.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=DAY, instance=pipeline.instance, asset_selection=[dg.AssetKey(asset)], raise_on_error=False
    )


def test_a_board_of_foreign_stats_passes(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline:
        pipeline.put(STATS, parquet(foreign_stats(ann=(1, 1))))
        assert pipeline.run("leaderboard_job", DAY).success
        assert verdict(pipeline) == ""


def evaluation(pipeline: Pipeline) -> dg.AssetCheckEvaluation:
    """The evaluation of the 30th's board by the job of the schedule."""
    job = pipeline.definitions.resolve_job_def("freshness_job")
    result = job.execute_in_process(run_config=freshness_config(DAY), instance=pipeline.instance)
    [evaluation] = result.get_asset_check_evaluations()
    return evaluation


def test_the_check_fails_with_the_finding_and_the_run_succeeds(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline:
        evaluated = evaluation(pipeline)
    assert (evaluated.asset_key.to_user_string(), evaluated.check_name) == ("top10_leaderboard", "freshness")
    assert (evaluated.passed, evaluated.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (evaluated.description or "").startswith("2025-12-30: The board of 2025-12-30 is not published: s3://")


def test_the_check_passes_where_all_is_well(published: Pipeline) -> None:
    assert evaluation(published).passed


@pytest.mark.trial
def test_a_run_by_hand_checks_its_own_day_and_the_sensors_job_checks_none(published: Pipeline) -> None:
    by_hand = [each for each in published.run(ALL, DAY).get_asset_check_evaluations() if each.check_name == "freshness"]
    assert [(each.passed, (each.description or "")[:10]) for each in by_hand] == [(True, DAY)]
    by_sensor = published.run("leaderboard_job", DAY).get_asset_check_evaluations()
    assert {each.check_name for each in by_sensor} == {"somebody_is_ranked"}


def schedule_with(lateness: int) -> dg.ScheduleDefinition:
    definitions = definitions_on(
        small_simulation(),
        LakeResource(bucket="nowhere", s3=S3Resource()),
        PipelineSettings(lateness_minutes=lateness),
    )
    return definitions.get_repository_def().get_schedule_def("freshness")


@pytest.mark.parametrize(
    ("lateness", "cron", "when", "looked_at"),
    [
        (0, "0 3 * * *", "2025-12-31T03:00", "2025-12-30"),
        (60, "0 3 * * *", "2025-12-31T03:00", "2025-12-30"),
        (61, "1 3 * * *", "2025-12-31T03:01", "2025-12-30"),
        (1440, "0 2 * * *", "2026-01-01T02:00", "2025-12-30"),  # closes a day later, at midnight
    ],
)
def test_it_checks_the_newest_board_that_is_due(lateness: int, cron: str, when: str, looked_at: str) -> None:
    schedule = schedule_with(lateness)
    assert schedule.cron_schedule == cron
    context = dg.build_schedule_context(scheduled_execution_time=datetime.fromisoformat(when).replace(tzinfo=UTC))
    (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == freshness_config(looked_at)
    assert request.tags["game_analytics/day"] == looked_at


def test_before_the_first_day_no_board_is_due() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2024, 1, 1, 3, tzinfo=UTC))
    result = schedule_with(60).evaluate_tick(context)
    assert (result.run_requests, result.skip_message) == ([], "No board is due yet.")
