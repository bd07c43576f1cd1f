"""Runs that the sensor requested: unfinished, failed and cancelled ones."""

import dagster as dg
import pytest

from game_analytics_tests.support.harness import Pipeline, failure_of
from game_analytics_tests.support.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    make_board,
    noted,
    put_later,
    run,
    stats_file,
    tick,
)

UNDER_WAY = {
    "2025-12-25": dg.DagsterRunStatus.NOT_STARTED,
    "2025-12-26": dg.DagsterRunStatus.MANAGED,
    "2025-12-27": dg.DagsterRunStatus.QUEUED,
    "2025-12-28": dg.DagsterRunStatus.STARTING,
    "2025-12-29": dg.DagsterRunStatus.STARTED,
    "2025-12-30": dg.DagsterRunStatus.CANCELING,
}


def put_and_note(pipeline: Pipeline) -> None:
    """A new file for each of these days, and its requested run in that state."""
    for day in UNDER_WAY:
        pipeline.put(stats_file(day), ann_leads())
    for request in tick(pipeline).requests:
        noted(pipeline, request, UNDER_WAY[str(request.partition_key)])


def test_nothing_is_requested_while_its_run_is_unfinished(pipeline: Pipeline) -> None:
    put_and_note(pipeline)
    assert tick(pipeline).skipped.startswith("6 boards are behind their stats files, but were already requested")


def test_the_same_bytes_written_again_during_their_run_request_nothing(pipeline: Pipeline) -> None:
    put_and_note(pipeline)
    for day in UNDER_WAY:
        put_later(pipeline, ann_leads(), day)
    assert tick(pipeline).skipped.startswith("6 boards are behind their stats files, but were already requested")
    for day in UNDER_WAY:
        make_board(pipeline, day, ann_leads())  # as those runs do at their end
    assert tick(pipeline).skipped.startswith("All 6 boards")


@pytest.mark.trial
def test_other_bytes_written_during_a_run_get_one_more_run_after_it(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    first = noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.STARTED)
    etag = pipeline.put(stats_file(DAY), bob_leads())
    assert tick(pipeline).days == []

    make_board(pipeline, DAY, ann_leads())  # it had read its file before
    pipeline.instance.report_run_canceled(first)

    request = tick(pipeline).request
    assert request.tags["game_analytics/stats_etag"] == etag
    noted(pipeline, request, dg.DagsterRunStatus.QUEUED)
    assert tick(pipeline).days == []


def test_an_unfinished_run_for_equal_bytes_of_another_day_does_not_count(pipeline: Pipeline) -> None:
    pipeline.put(stats_file("2025-12-29"), ann_leads())
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.STARTED)
    pipeline.put(stats_file(DAY), ann_leads())
    assert tick(pipeline).days == [DAY]


@pytest.mark.trial
def test_from_a_to_b_and_back_during_a_run_the_board_ends_as_the_file(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    of_a = noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.STARTED)
    pipeline.put(stats_file(DAY), bob_leads())
    assert pipeline.run("leaderboard_job", DAY).success  # as that run does, having read B
    assert pipeline.board(DAY) == BOB_FIRST
    put_later(pipeline, ann_leads())
    assert tick(pipeline).days == []

    pipeline.instance.report_run_canceled(of_a)

    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST
    assert tick(pipeline).days == []


def test_a_failed_run_is_not_repeated_tick_after_tick(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), b"no Parquet")
    assert "can't be read as Parquet" in failure_of(run(pipeline, tick(pipeline).request))
    for _ in range(2):
        skipped = tick(pipeline).skipped
        assert DAY in skipped
        assert "A failed one is requested again when its file is written again." in skipped


def test_a_cancelled_run_is_requested_again_with_another_key(pipeline: Pipeline) -> None:
    """The daemon launches no second run with the same key, so each request has a new one."""
    pipeline.put(stats_file(DAY), ann_leads())
    asked = [tick(pipeline).request]
    for _ in range(2):
        noted(pipeline, asked[-1], dg.DagsterRunStatus.CANCELED)
        asked.append(tick(pipeline).request)
    assert len({each.run_key for each in asked}) == 3
    assert run(pipeline, asked[-1]).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_of_two_cancelled_runs_one_was_deleted_and_the_key_of_the_other_is_not_used_again(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    first = noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.CANCELED)
    second = noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.CANCELED)
    pipeline.instance.delete_run(first.run_id)
    assert tick(pipeline).request.run_key != second.tags["dagster/run_key"]


@pytest.mark.trial
def test_after_a_failed_run_other_bytes_are_requested_at_once(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), b"no Parquet")
    assert not run(pipeline, tick(pipeline).request).success
    pipeline.put(stats_file(DAY), ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_after_a_failed_run_the_same_bytes_written_again_are_requested(pipeline: Pipeline) -> None:
    """As when S3 failed, and the writer uploads its file again."""
    etag = pipeline.put(stats_file(DAY), ann_leads())
    failed = tick(pipeline).request
    noted(pipeline, failed, dg.DagsterRunStatus.FAILURE)
    assert put_later(pipeline, ann_leads()) == etag

    request = tick(pipeline).request

    assert request.tags["game_analytics/stats_etag"] == failed.tags["game_analytics/stats_etag"]
    assert request.run_key != failed.run_key
    assert run(pipeline, request).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_after_a_failed_run_a_board_made_from_other_bytes_is_requested_again(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    assert tick(pipeline).days == []
    make_board(pipeline, DAY, b"an earlier file")
    assert tick(pipeline).days == [DAY]


def test_after_a_failed_run_a_board_made_by_hand_settles_it(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    assert pipeline.run("leaderboard_job", DAY).success
    assert tick(pipeline).skipped.startswith("All 1 boards")


def test_a_failed_day_keeps_its_board_and_does_not_stop_other_days(pipeline: Pipeline) -> None:
    pipeline.put(stats_file("2025-12-29"), ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    pipeline.put(stats_file("2025-12-29"), b"no Parquet")
    pipeline.put(stats_file(DAY), bob_leads())
    assert pipeline.run_requested() == {"2025-12-29": False, DAY: True}
    assert (pipeline.board("2025-12-29"), pipeline.board(DAY)) == (ANN_FIRST, BOB_FIRST)
    assert tick(pipeline).days == []
