"""Boards that were not made by the sensor's runs: only the lake counts."""

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics_tests.support.harness import ALL, Pipeline, pipeline_on
from game_analytics_tests.support.ticks import (
    BOB_FIRST,
    DAY,
    ann_leads,
    board_file,
    bob_leads,
    make_board,
    note,
    run,
    stats_file,
    tick,
)


@pytest.mark.trial
def test_a_board_made_by_a_run_of_all_assets_counts(pipeline: Pipeline) -> None:
    assert pipeline.run(ALL, DAY).success
    assert tick(pipeline).skipped.startswith("All 1 boards")


def test_a_board_made_by_hand_counts(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    assert pipeline.run("leaderboard_job", DAY).success
    assert tick(pipeline).skipped.startswith("All 1 boards")


def test_boards_made_by_one_run_of_a_range_count(pipeline: Pipeline) -> None:
    for day in ("2025-12-28", "2025-12-29", DAY):
        pipeline.put(stats_file(day), ann_leads())
    assert pipeline.run("leaderboard_job", days=("2025-12-28", "2025-12-29")).success
    assert tick(pipeline).days == [DAY]


def test_the_good_days_of_a_range_that_failed_count(pipeline: Pipeline) -> None:
    pipeline.put(stats_file("2025-12-28"), ann_leads())
    pipeline.put(stats_file("2025-12-29"), b"no Parquet")
    pipeline.put(stats_file(DAY), bob_leads())
    assert not pipeline.run("leaderboard_job", days=("2025-12-28", DAY)).success
    assert tick(pipeline).days == ["2025-12-29"]


def test_a_range_that_ends_later_does_not_hide_another_runs_record(pipeline: Pipeline) -> None:
    """When a range ends, Dagster records each of its days again though none was materialized again."""
    pipeline.put(stats_file(DAY), ann_leads())
    older = make_board(pipeline, DAY, ann_leads())  # by the range, which continues with other days
    pipeline.put(stats_file(DAY), bob_leads())
    make_board(pipeline, DAY, bob_leads())
    note(pipeline, DAY, lake=pipeline.lake.place, etag=older, source_etag="of then", sha256="a", source_sha256="b")
    assert tick(pipeline).skipped.startswith("All 1 boards")


def test_a_board_overwritten_by_a_stale_run_is_made_again(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    pipeline.put(stats_file(DAY), bob_leads())
    make_board(pipeline, DAY, bob_leads())
    assert tick(pipeline).days == []
    make_board(pipeline, DAY, ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == BOB_FIRST


def test_a_record_reported_in_the_ui_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    note(pipeline, DAY)
    assert tick(pipeline).days == []
    pipeline.lake.delete([board_file(DAY)])
    note(pipeline, DAY)
    assert tick(pipeline).days == [DAY]


def test_a_materialization_without_a_partition_does_not_count(pipeline: Pipeline) -> None:
    etag = pipeline.put(stats_file(DAY), ann_leads())
    note(pipeline, None, lake=pipeline.lake.place, source_etag=etag)
    assert tick(pipeline).days == [DAY]


def test_a_board_of_another_day_made_from_equal_bytes_does_not_count(pipeline: Pipeline) -> None:
    assert pipeline.put(stats_file("2025-12-29"), ann_leads()) == pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, "2025-12-29", ann_leads())
    assert tick(pipeline).days == [DAY]


def test_with_a_lost_history_existing_boards_are_not_requested(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as before:
        before.put(stats_file("2025-12-29"), ann_leads())
        before.put(stats_file(DAY), bob_leads())
        assert before.run("leaderboard_job", days=("2025-12-29", DAY)).success
    with pipeline_on(lake_resource) as after:
        assert tick(after).skipped.startswith("All 2 boards")
