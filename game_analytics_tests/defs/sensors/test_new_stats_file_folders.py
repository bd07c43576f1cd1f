"""Folders of parts in the place of stats files: the sensor ranks them once they are whole, and says which are not."""

from game_analytics.defs.sensors.new_landing import new_landing
from game_analytics_tests.support.harness import Pipeline
from game_analytics_tests.support.landed import put_landing
from game_analytics_tests.support.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    run,
    stats_file,
    tick,
)

PART = f"{stats_file(DAY)}/part-00000.snappy.parquet"
MARKER = f"{stats_file(DAY)}/_SUCCESS"


def test_a_folder_is_ranked_when_it_is_marked_as_whole(pipeline: Pipeline) -> None:
    pipeline.put(PART, ann_leads())
    skipped = tick(pipeline).skipped
    assert f"{stats_file(DAY)}/ is not ranked yet: it has no _SUCCESS" in skipped
    pipeline.put(MARKER, b"")
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST
    assert tick(pipeline).skipped.startswith("All 1 boards are made from the current stats files")


def test_a_folder_whose_parts_change_is_ranked_again(pipeline: Pipeline) -> None:
    pipeline.put(PART, ann_leads())
    pipeline.put(MARKER, b"")
    run(pipeline, tick(pipeline).request)
    pipeline.put(PART, bob_leads())
    pipeline.put(MARKER, b"")
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == BOB_FIRST
    assert tick(pipeline).days == []


def test_an_object_beside_the_folder_is_ranked_instead(pipeline: Pipeline) -> None:
    pipeline.put(PART, ann_leads())
    pipeline.put(MARKER, b"")
    run(pipeline, tick(pipeline).request)
    pipeline.put(stats_file(DAY), bob_leads())
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == BOB_FIRST


def test_the_board_of_a_folder_needs_no_record_of_dagster_to_be_known(pipeline: Pipeline) -> None:
    pipeline.put(PART, ann_leads())
    pipeline.put(MARKER, b"")
    run(pipeline, tick(pipeline).request)
    pipeline.instance.wipe_assets(list(pipeline.instance.all_asset_keys()))
    assert tick(pipeline).days == []


def test_a_landed_day_whose_stats_are_a_folder_is_left_to_who_wrote_it(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, DAY)
    pipeline.put(PART, ann_leads())
    assert "were written by another program" in tick(pipeline, sensor=new_landing).skipped
    pipeline.put(MARKER, b"")
    assert "were written by another program" in tick(pipeline, sensor=new_landing).skipped
