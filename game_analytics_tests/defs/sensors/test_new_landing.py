"""Landings that come, change and go, and what the sensor asks for: stats where they are not of the standing landing."""

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.defs.sensors.new_landing import new_landing
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support import ticks
from game_analytics_tests.support.harness import Pipeline, given_log, pipeline_on, small_simulation
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.landed import (
    manifest_file,
    manifest_of,
    note_stats,
    old_manifest_file,
    parquet_with,
    put_counted,
    put_landing,
    sha256,
    stats_file,
    stats_of,
)
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at
from game_analytics_tests.support.ticks import DAY, ORIGIN, Tick

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def tick(pipeline: Pipeline) -> Tick:
    return ticks.tick(pipeline, sensor=new_landing)


def days_of(request: dg.RunRequest) -> tuple[str, str]:
    """First and last."""
    start = request.tags.get("dagster/asset_partition_range_start")
    return (
        (str(request.partition_key),) * 2
        if start is None
        else (start, request.tags["dagster/asset_partition_range_end"])
    )


def spans(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [days_of(request) for request in tick(pipeline).requests]


def noted(pipeline: Pipeline, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """The run that was asked for as the instance knows it in this state, without any work done."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return pipeline.instance.add_run(dg.DagsterRun("stats_job", status=status, tags=tags, remote_job_origin=ORIGIN))


def run(pipeline: Pipeline, request: dg.RunRequest) -> bool:
    """Whether the run that was asked for succeeds."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return pipeline.run("stats_job", request.partition_key, tags=tags).success


def test_where_nothing_is_landed_nothing_is_owed(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), stats_of(None))
    assert tick(pipeline).skipped.startswith("All 0 stats files are made from the current landings")


def test_a_landing_that_nobody_has_counted_is_counted_and_then_ranked(lake_resource: LakeResource) -> None:
    """As where raw_events was materialized alone, or its range had a day that failed."""
    with pipeline_on(lake_resource, given_log(ListedLog({0: [at(0, f"{DAY} 12:00")]}))) as pipeline:
        raw = pipeline.definitions.resolve_implicit_global_asset_job_def()
        landed = raw.execute_in_process(
            partition_key=DAY, instance=pipeline.instance, asset_selection=[dg.AssetKey("raw_events")]
        )
        assert landed.success
        request = tick(pipeline).request
        assert request.partition_key == DAY
        assert request.tags["game_analytics/lake"] == pipeline.lake.place
        assert [target.job_name for target in new_landing.targets] == ["stats_job"]
        assert run(pipeline, request)
        assert tick(pipeline).skipped.startswith("All 1 stats files")
        assert pipeline.run_requested() == {DAY: True}
        assert pipeline.board(DAY) == [(1, "ann", 1, 0, 1.0)]


def test_a_day_landed_again_by_a_run_that_died_before_its_record_is_counted_again(pipeline: Pipeline) -> None:
    """Healed, and killed between the manifest's commit and the record: no record tells of it."""
    before = put_landing(pipeline.lake, DAY)
    stats = stats_of(before)
    pipeline.put(stats_file(DAY), stats)
    note_stats(pipeline.instance, pipeline.lake, DAY, before, stats)
    assert tick(pipeline).days == []
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=15, landed=15))
    assert spans(pipeline) == [(DAY, DAY)]


def test_days_that_follow_one_another_are_one_run(pipeline: Pipeline) -> None:
    for day in ("2025-12-20", "2025-12-21", "2025-12-22", "2025-12-24", "2025-12-30", "2025-12-31"):
        put_landing(pipeline.lake, day)
    put_counted(pipeline.lake, "2025-12-23")
    assert spans(pipeline) == [
        ("2025-12-20", "2025-12-22"),
        ("2025-12-24", "2025-12-24"),
        ("2025-12-30", "2025-12-31"),
    ]


def test_a_long_stretch_is_cut_where_its_tags_would_fill_a_page(pipeline: Pipeline) -> None:
    for day in [*(f"2025-07-{day:02}" for day in range(1, 32)), "2025-08-01"]:
        put_landing(pipeline.lake, day)
    assert spans(pipeline) == [("2025-07-01", "2025-07-31"), ("2025-08-01", "2025-08-01")]


def test_a_bucket_restored_to_before_its_stats_gets_them_again(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, "2025-12-29", DAY)
    for day in ("2025-12-29", DAY):
        note_stats(pipeline.instance, pipeline.lake, day, manifest_of(day), stats_of(manifest_of(day)))
    pipeline.lake.delete([stats_file("2025-12-29"), stats_file(DAY)])
    request = tick(pipeline).request
    assert days_of(request) == ("2025-12-29", DAY)
    assert run(pipeline, request)
    assert tick(pipeline).days == []


def test_an_older_version_of_a_stats_file_that_is_restored_is_counted_again(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, DAY)
    newer = put_landing(pipeline.lake, DAY, manifest_of(DAY, read=1, landed=1))
    pipeline.put(stats_file(DAY), stats_of(newer))
    note_stats(pipeline.instance, pipeline.lake, DAY, newer, stats_of(newer))
    assert tick(pipeline).days == []
    pipeline.put(stats_file(DAY), stats_of(manifest_of(DAY)))
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_new_history_and_a_copied_bucket_owe_nothing(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, "2025-12-29", DAY)
    assert tick(pipeline).skipped.startswith("All 2 stats files")


def test_files_of_before_name_their_manifest_by_etag(pipeline: Pipeline) -> None:
    etag = pipeline.put(manifest_file(DAY), manifest_of(DAY))
    pipeline.put(stats_file(DAY), parquet_with({"game_analytics.manifest_etag": etag}))
    assert tick(pipeline).skipped.startswith("All 1 stats files")
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=1, landed=1))
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_manifest_at_its_old_place_is_left_to_the_next_landing(pipeline: Pipeline) -> None:
    pipeline.put(old_manifest_file(DAY), manifest_of(DAY))
    assert tick(pipeline).skipped.startswith("All 0 stats files")


def test_stats_that_somebody_else_wrote_stay_and_are_named_with_both_ways_out(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    pipeline.put(stats_file("2025-12-29"), stats_of(None))
    put_landing(pipeline.lake, DAY)
    assert spans(pipeline) == [(DAY, DAY)]
    put_counted(pipeline.lake, DAY)
    said = tick(pipeline).skipped
    assert "1 days are landed, but their stats files" in said
    assert "written by another program, so they stay (2025-12-29)" in said
    assert "`replace_foreign_stats: true`" in said
    assert "or remove the file" in said


def test_a_day_of_which_nothing_could_be_read_keeps_the_stats_that_stood(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, DAY)
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=12, quarantined=9, ignored=3))
    said = tick(pipeline).skipped
    assert f"{DAY} is not counted: none of its messages was landed, 9 could not be read and 3 are" in said


def test_an_empty_day_is_counted(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=12, other_days=12))
    assert run(pipeline, tick(pipeline).request)
    assert tick(pipeline).skipped.startswith("All 1 stats files")


def test_a_manifest_that_can_t_be_read_is_named_and_the_others_go_ahead(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-28", b"no manifest")
    put_landing(pipeline.lake, DAY)
    assert spans(pipeline) == [(DAY, DAY)]
    put_counted(pipeline.lake, DAY)
    assert "2025_12_28.json is no manifest" in tick(pipeline).skipped


def test_a_failed_day_of_a_stretch_is_asked_for_once_more_alone_and_the_others_are_done(pipeline: Pipeline) -> None:
    """What the failed one lists is gone."""
    listed = manifest_of("2025-12-29", read=1, landed=1).replace(
        b'"objects": []',
        b'"objects": [{"key": "raw/2025_12_29/0-0-1-000000000000.parquet", "kind": "raw", "rows": 1, "bytes": 9}]',
    )
    put_landing(pipeline.lake, "2025-12-28")
    put_landing(pipeline.lake, "2025-12-29", listed)
    put_landing(pipeline.lake, DAY)
    request = tick(pipeline).request
    assert days_of(request) == ("2025-12-28", DAY)
    assert not run(pipeline, request)
    alone = tick(pipeline).request
    assert days_of(alone) == ("2025-12-29", "2025-12-29")
    assert not run(pipeline, alone)
    said = tick(pipeline).skipped
    assert said.startswith("1 stats files are behind their landings, but were already requested (failed: 2025-12-29)")

    put_landing(pipeline.lake, "2025-12-29")
    assert run(pipeline, tick(pipeline).request)
    assert tick(pipeline).skipped.startswith("All 3 stats files")


def test_a_new_neighbour_does_not_take_a_failed_day_along(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    put_landing(pipeline.lake, DAY)
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_good_day_of_a_run_that_failed_is_counted_again_when_its_stats_are_deleted(pipeline: Pipeline) -> None:
    manifest = put_landing(pipeline.lake, DAY)
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    note_stats(pipeline.instance, pipeline.lake, DAY, manifest, stats_of(manifest))
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_cancelled_stretch_is_asked_for_again_with_another_run_key(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    put_landing(pipeline.lake, DAY)
    first = tick(pipeline).request
    noted(pipeline, first, dg.DagsterRunStatus.CANCELED)
    second = tick(pipeline).request
    assert days_of(second) == days_of(first) == ("2025-12-29", DAY)
    assert second.run_key != first.run_key


def test_days_that_a_run_under_way_counts_are_left_to_it(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    put_landing(pipeline.lake, DAY)
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.STARTED)
    assert tick(pipeline).skipped.startswith("2 stats files are behind their landings, but were already requested")
    put_landing(pipeline.lake, "2025-12-31")
    assert spans(pipeline) == [("2025-12-31", "2025-12-31")]


def test_two_lakes_on_one_instance_don_t_see_each_other(pipeline: Pipeline, s3: S3Endpoint, client: "S3Client") -> None:
    client.create_bucket(Bucket=f"{pipeline.lake.bucket}-2")
    lake = lake_at(s3, f"{pipeline.lake.bucket}-2")
    other = Pipeline(definitions_on(small_simulation(), lake, PipelineSettings()), lake, pipeline.instance)
    for each in (pipeline, other):
        put_landing(each.lake, DAY)
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.QUEUED)
    assert spans(other) == [(DAY, DAY)]
    assert run(other, tick(other).request)
    assert tick(other).skipped.startswith("All 1 stats files")
    assert tick(pipeline).skipped.startswith("1 stats files are behind")


@pytest.mark.parametrize(
    "key", ["raw/manifests/", "raw/manifests/2025_12_30.json.tmp", "raw/manifests/2025_02_30.json"]
)
def test_what_is_no_manifest_is_left_alone(pipeline: Pipeline, key: str) -> None:
    pipeline.put(key, b"{}")
    assert tick(pipeline).skipped.startswith("All 0 stats files")


def test_the_stats_of_its_run_name_the_landing(pipeline: Pipeline) -> None:
    manifest = put_landing(pipeline.lake, DAY)
    assert run(pipeline, tick(pipeline).request)
    assert pipeline.lake.parquet_metadata(stats_file(DAY))["game_analytics.manifest_sha256"] == sha256(manifest)
