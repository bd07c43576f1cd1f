"""Boards that came about by other hands than the sensor's: what counts is the ETag that the latest was made from."""

import dagster as dg

from game_analytics.resources.configured import LakeResource
from game_analytics_tests.harness import ALL, Pipeline, pipeline_on
from game_analytics_tests.sensors.ticks import (
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    note_board,
    noted,
    run,
    stats_file,
    tick,
)


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


def test_the_latest_board_decides_if_it_was_made_from_older_bytes(pipeline: Pipeline) -> None:
    """As when an older run records its board last."""
    older = pipeline.put(stats_file(DAY), ann_leads())
    note_board(pipeline, DAY, made_from=older)
    newer = pipeline.put(stats_file(DAY), bob_leads())
    first = tick(pipeline).request
    noted(pipeline, first, dg.DagsterRunStatus.SUCCESS)
    note_board(pipeline, DAY, made_from=newer)
    assert tick(pipeline).days == []

    note_board(pipeline, DAY, made_from=older)

    again = tick(pipeline).request
    assert again.tags["game_analytics/stats_etag"] == first.tags["game_analytics/stats_etag"]
    assert again.run_key != first.run_key
    assert run(pipeline, again).success
    assert pipeline.board(DAY) == BOB_FIRST
    assert tick(pipeline).days == []


def test_a_range_that_ends_later_does_not_take_back_what_another_run_did_meanwhile(pipeline: Pipeline) -> None:
    """At its end a range records each of its days a second time, though nothing was made anew."""
    older = pipeline.put(stats_file(DAY), ann_leads())
    note_board(pipeline, DAY, made_from=older)  # by the range, which goes on to other days
    newer = pipeline.put(stats_file(DAY), bob_leads())
    asked_before = tick(pipeline).request
    note_board(pipeline, DAY, made_from=older, recorded_before=True)
    assert tick(pipeline).request == asked_before
    note_board(pipeline, DAY, made_from=newer)
    assert tick(pipeline).days == []
    note_board(pipeline, DAY, made_from=older, recorded_before=True)
    assert tick(pipeline).days == []


def test_a_board_that_does_not_tell_what_it_was_made_from_is_made_again(pipeline: Pipeline) -> None:
    """As when somebody reports a materialization in the UI."""
    etag = pipeline.put(stats_file(DAY), ann_leads())
    note_board(pipeline, DAY, made_from=etag)
    assert tick(pipeline).days == []
    pipeline.instance.report_runless_asset_event(dg.AssetMaterialization("top10_leaderboard", partition=DAY))
    assert tick(pipeline).days == [DAY]


def test_a_materialization_of_no_day_in_particular_is_no_board(pipeline: Pipeline) -> None:
    etag = pipeline.put(stats_file(DAY), ann_leads())
    pipeline.instance.report_runless_asset_event(
        dg.AssetMaterialization("top10_leaderboard", metadata={"source_etag": etag})
    )
    assert tick(pipeline).days == [DAY]


def test_a_board_of_another_day_made_from_equal_bytes_does_not_count(pipeline: Pipeline) -> None:
    etag = pipeline.put(stats_file("2025-12-29"), ann_leads())
    assert pipeline.put(stats_file(DAY), ann_leads()) == etag
    note_board(pipeline, "2025-12-29", made_from=etag)
    assert tick(pipeline).days == [DAY]


def test_a_run_in_flight_elsewhere_may_cost_one_redundant_run_with_equal_bytes(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    pipeline.instance.add_run(dg.DagsterRun(ALL, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": DAY}))
    assert run(pipeline, tick(pipeline).request).success
    content = pipeline.content()
    assert pipeline.run("leaderboard_job", DAY).success  # what that other run does next
    assert pipeline.content() == content
    assert tick(pipeline).days == []


def test_an_instance_that_lost_its_history_asks_for_every_day_again_with_equal_bytes(
    lake_resource: LakeResource,
) -> None:
    with pipeline_on(lake_resource) as before:
        before.put(stats_file("2025-12-29"), ann_leads())
        before.put(stats_file(DAY), bob_leads())
        assert before.run("leaderboard_job", days=("2025-12-29", DAY)).success
        content = before.content()
    with pipeline_on(lake_resource) as after:
        assert after.run_requested() == {"2025-12-29": True, DAY: True}
        assert after.content() == content
        assert tick(after).days == []
