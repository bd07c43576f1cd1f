"""Files that are written, changed and deleted: the sensor requests a run if the board is missing or stale."""

import pytest

from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics_tests.support.harness import Pipeline
from game_analytics_tests.support.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    listed,
    make_board,
    put_later,
    run,
    stats_file,
    tick,
)


def test_an_empty_lake_has_nothing_outstanding(pipeline: Pipeline) -> None:
    assert tick(pipeline).skipped.startswith("All 0 boards are made from the current stats files")


def test_a_new_file_gets_one_run_of_the_board_for_its_day(pipeline: Pipeline) -> None:
    etag = pipeline.put(stats_file(DAY), ann_leads())

    request = tick(pipeline).request

    assert request.partition_key == DAY
    assert request.tags["dagster/partition"] == DAY
    assert request.tags["dagster/sensor_name"] == "new_stats_file"
    assert request.tags["game_analytics/stats_etag"] == etag
    assert request.asset_selection is None
    assert [target.job_name for target in new_stats_file.targets] == ["leaderboard_job"]
    result = run(pipeline, request)
    assert result.success
    assert [event.asset_key.path for event in result.get_asset_materialization_events() if event.asset_key] == [
        ["top10_leaderboard"]
    ]
    assert pipeline.board(DAY) == ANN_FIRST
    assert tick(pipeline).skipped.startswith("All 1 boards are made from the current stats files")


def test_the_run_key_is_lake_day_etag_time_and_the_current_boards_etag(pipeline: Pipeline) -> None:
    etag = pipeline.put(stats_file(DAY), ann_leads())
    first = listed(pipeline).last_modified
    place = f"s3://{pipeline.lake.bucket} at {pipeline.lake.endpoint}"
    request = tick(pipeline).request
    assert request.run_key == f"{place} {DAY} {etag} {first:%Y-%m-%dT%H:%M:%S}.000000 None"
    assert request.tags["game_analytics/lake"] == place

    board = make_board(pipeline, DAY, ann_leads())
    changed = put_later(pipeline, bob_leads())

    second = listed(pipeline).last_modified
    assert second > first
    assert tick(pipeline).request.run_key == f"{place} {DAY} {changed} {second:%Y-%m-%dT%H:%M:%S}.000000 {board}"


def test_a_file_overwritten_with_other_bytes_gets_one_more_run(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    etag = pipeline.put(stats_file(DAY), bob_leads())

    request = tick(pipeline).request

    assert request.tags["game_analytics/stats_etag"] == etag
    assert run(pipeline, request).success
    assert pipeline.board(DAY) == BOB_FIRST
    assert tick(pipeline).days == []


def test_a_file_overwritten_with_the_same_bytes_gets_nothing(pipeline: Pipeline) -> None:
    first = pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    assert put_later(pipeline, ann_leads()) == first
    assert tick(pipeline).skipped.startswith("All 1 boards")


def test_a_file_overwritten_twice_between_two_ticks_and_back_to_what_was_ranked_gets_nothing(
    pipeline: Pipeline,
) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    pipeline.put(stats_file(DAY), bob_leads())
    pipeline.put(stats_file(DAY), ann_leads())
    assert tick(pipeline).days == []


@pytest.mark.trial
def test_a_file_that_goes_from_a_to_b_and_back_is_ranked_each_time_it_was_seen(pipeline: Pipeline) -> None:
    for content, board in ((ann_leads(), ANN_FIRST), (bob_leads(), BOB_FIRST), (ann_leads(), ANN_FIRST)):
        pipeline.put(stats_file(DAY), content)
        assert run(pipeline, tick(pipeline).request).success
        assert pipeline.board(DAY) == board
    assert tick(pipeline).days == []


def test_the_board_of_a_deleted_file_stays(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    run(pipeline, tick(pipeline).request)
    pipeline.lake.delete([stats_file(DAY)])
    assert tick(pipeline).days == []
    assert pipeline.board(DAY) == ANN_FIRST


def test_a_deleted_file_that_comes_back_is_ranked_if_its_bytes_are_others(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    make_board(pipeline, DAY, ann_leads())
    pipeline.lake.delete([stats_file(DAY)])
    pipeline.put(stats_file(DAY), ann_leads())
    assert tick(pipeline).days == []
    pipeline.put(stats_file(DAY), bob_leads())
    assert tick(pipeline).days == [DAY]


def test_a_file_deleted_before_it_was_ranked_gets_no_run(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    assert tick(pipeline).days == [DAY]
    pipeline.lake.delete([stats_file(DAY)])
    assert tick(pipeline).skipped.startswith("All 0 boards")


@pytest.mark.trial
def test_files_of_the_same_second_are_all_requested(pipeline: Pipeline) -> None:
    """S3 times have whole seconds, so files of one second must not hide each other."""
    for day in (f"2025-11-{number:02}" for number in range(1, 31, 2)):
        seen, unseen = day, f"{day[:-2]}{int(day[-2:]) + 1:02}"
        pipeline.put(stats_file(seen), b"seen by the tick before")
        make_board(pipeline, seen, b"seen by the tick before")
        assert tick(pipeline).days == []
        pipeline.put(stats_file(unseen), b"landed after that tick")
        if listed(pipeline, seen).last_modified == listed(pipeline, unseen).last_modified:
            assert tick(pipeline).days == [unseen]
            break
        make_board(pipeline, unseen, b"landed after that tick")  # a second began in between: repeat
    else:
        raise AssertionError("no two files landed in the same second")


def test_a_file_older_than_those_already_ranked_is_requested(pipeline: Pipeline) -> None:
    """S3 stamps a large upload with the time it began."""
    pipeline.put(stats_file("2025-12-28"), ann_leads())
    pipeline.put(stats_file(DAY), ann_leads())
    put_later(pipeline, bob_leads())
    make_board(pipeline, DAY, bob_leads())
    assert listed(pipeline, "2025-12-28").last_modified < listed(pipeline, DAY).last_modified
    assert tick(pipeline).days == ["2025-12-28"]


def test_a_lost_tick_or_a_reset_sensor_misses_nothing(pipeline: Pipeline) -> None:
    pipeline.put(stats_file("2025-12-29"), ann_leads())
    lost = tick(pipeline)
    pipeline.put(stats_file(DAY), bob_leads())
    assert lost.days == ["2025-12-29"]
    for cursor in (None, "", "left by an older version"):
        assert tick(pipeline, cursor).days == ["2025-12-29", DAY]
    assert tick(pipeline).requests[0].run_key == lost.request.run_key
