"""The sensor `new_landing`: it requests stats that are missing or not made from the committed landing."""

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
    """The first and the last day of the requested range."""
    start = request.tags.get("dagster/asset_partition_range_start")
    return (
        (str(request.partition_key),) * 2
        if start is None
        else (start, request.tags["dagster/asset_partition_range_end"])
    )


def spans(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [days_of(request) for request in tick(pipeline).requests]


def noted(pipeline: Pipeline, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """Record the requested run in this state, without executing it."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return pipeline.instance.add_run(dg.DagsterRun("stats_job", status=status, tags=tags, remote_job_origin=ORIGIN))


def run(pipeline: Pipeline, request: dg.RunRequest) -> bool:
    """Execute the requested run. Returns whether it succeeds."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return pipeline.run("stats_job", request.partition_key, tags=tags).success


def test_without_landings_nothing_is_outstanding(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), stats_of(None))
    assert tick(pipeline).skipped.startswith("All 0 stats files are made from the current landings")


@pytest.mark.trial
def test_an_uncounted_landing_is_counted_and_then_ranked(lake_resource: LakeResource) -> None:
    """As after raw_events was materialized alone, or a range in which one day failed."""
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
    """The run was killed between committing the manifest and recording it."""
    before = put_landing(pipeline.lake, DAY)
    stats = stats_of(before)
    pipeline.put(stats_file(DAY), stats)
    note_stats(pipeline.instance, pipeline.lake, DAY, before, stats)
    assert tick(pipeline).days == []
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=15, landed=15))
    assert spans(pipeline) == [(DAY, DAY)]


def test_consecutive_days_are_one_run(pipeline: Pipeline) -> None:
    for day in ("2025-12-20", "2025-12-21", "2025-12-22", "2025-12-24", "2025-12-30", "2025-12-31"):
        put_landing(pipeline.lake, day)
    put_counted(pipeline.lake, "2025-12-23")
    assert spans(pipeline) == [
        ("2025-12-20", "2025-12-22"),
        ("2025-12-24", "2025-12-24"),
        ("2025-12-30", "2025-12-31"),
    ]


def test_a_long_range_is_split_to_limit_its_tags(pipeline: Pipeline) -> None:
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


def test_a_restored_older_stats_file_is_counted_again(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, DAY)
    newer = put_landing(pipeline.lake, DAY, manifest_of(DAY, read=1, landed=1))
    pipeline.put(stats_file(DAY), stats_of(newer))
    note_stats(pipeline.instance, pipeline.lake, DAY, newer, stats_of(newer))
    assert tick(pipeline).days == []
    pipeline.put(stats_file(DAY), stats_of(manifest_of(DAY)))
    assert spans(pipeline) == [(DAY, DAY)]


def test_with_an_empty_history_or_a_copied_bucket_nothing_is_outstanding(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, "2025-12-29", DAY)
    assert tick(pipeline).skipped.startswith("All 2 stats files")


def test_files_of_earlier_versions_name_their_manifest_by_etag(pipeline: Pipeline) -> None:
    etag = pipeline.put(manifest_file(DAY), manifest_of(DAY))
    pipeline.put(stats_file(DAY), parquet_with({"game_analytics.manifest_etag": etag}))
    assert tick(pipeline).skipped.startswith("All 1 stats files")
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=1, landed=1))
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_manifest_at_its_old_key_is_ignored(pipeline: Pipeline) -> None:
    pipeline.put(old_manifest_file(DAY), manifest_of(DAY))
    assert tick(pipeline).skipped.startswith("All 0 stats files")


def test_foreign_stats_stay_and_are_named_with_both_remedies(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    pipeline.put(stats_file("2025-12-29"), stats_of(None))
    put_landing(pipeline.lake, DAY)
    assert spans(pipeline) == [(DAY, DAY)]
    put_counted(pipeline.lake, DAY)
    text = tick(pipeline).skipped
    assert "1 days are landed, but their stats files" in text
    assert "written by another program, so they stay (2025-12-29)" in text
    assert "`replace_foreign_stats: true`" in text
    assert "or remove the file" in text


def test_a_day_of_which_nothing_could_be_read_keeps_its_stats(pipeline: Pipeline) -> None:
    put_counted(pipeline.lake, DAY)
    put_landing(pipeline.lake, DAY, manifest_of(DAY, read=12, quarantined=9, ignored=3))
    text = tick(pipeline).skipped
    assert f"{DAY} is not counted: none of its messages was landed, 9 could not be read and 3 are" in text


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


@pytest.mark.trial
def test_a_failed_day_of_a_range_is_requested_once_more_alone_and_the_others_are_done(pipeline: Pipeline) -> None:
    """The objects of the failed day are gone."""
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
    text = tick(pipeline).skipped
    assert text.startswith("1 stats files are behind their landings, but were already requested (failed: 2025-12-29)")

    put_landing(pipeline.lake, "2025-12-29")
    assert run(pipeline, tick(pipeline).request)
    assert tick(pipeline).skipped.startswith("All 3 stats files")


def test_a_failed_day_does_not_join_the_range_of_a_new_neighbour(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    put_landing(pipeline.lake, DAY)
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_good_day_of_a_run_that_failed_is_counted_again_when_its_stats_are_deleted(pipeline: Pipeline) -> None:
    manifest = put_landing(pipeline.lake, DAY)
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    note_stats(pipeline.instance, pipeline.lake, DAY, manifest, stats_of(manifest))
    assert spans(pipeline) == [(DAY, DAY)]


def test_a_cancelled_range_is_requested_again_with_another_run_key(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    put_landing(pipeline.lake, DAY)
    first = tick(pipeline).request
    noted(pipeline, first, dg.DagsterRunStatus.CANCELED)
    second = tick(pipeline).request
    assert days_of(second) == days_of(first) == ("2025-12-29", DAY)
    assert second.run_key != first.run_key


def test_days_that_an_unfinished_run_counts_are_not_requested(pipeline: Pipeline) -> None:
    put_landing(pipeline.lake, "2025-12-29")
    put_landing(pipeline.lake, DAY)
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.STARTED)
    assert tick(pipeline).skipped.startswith("2 stats files are behind their landings, but were already requested")
    put_landing(pipeline.lake, "2025-12-31")
    assert spans(pipeline) == [("2025-12-31", "2025-12-31")]


@pytest.mark.trial
def test_two_lakes_on_one_instance_are_independent(pipeline: Pipeline, s3: S3Endpoint, client: "S3Client") -> None:
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
def test_other_objects_beside_manifests_are_ignored(pipeline: Pipeline, key: str) -> None:
    pipeline.put(key, b"{}")
    assert tick(pipeline).skipped.startswith("All 0 stats files")


def test_the_stats_of_its_run_name_the_landing(pipeline: Pipeline) -> None:
    manifest = put_landing(pipeline.lake, DAY)
    assert run(pipeline, tick(pipeline).request)
    assert pipeline.lake.parquet_metadata(stats_file(DAY))["game_analytics.manifest_sha256"] == sha256(manifest)
