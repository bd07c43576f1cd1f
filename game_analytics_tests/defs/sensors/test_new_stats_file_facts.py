"""The lake decides, not Dagster's history: after wiping, restoring, copying, moving and corrections by hand."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
import pytest

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.resources import PipelineSettings
from game_analytics.lake.bucket import Listed
from game_analytics_tests.support.harness import ALL, Pipeline, pipeline_on, small_simulation
from game_analytics_tests.support.lakes import MemoryLake, given_lake
from game_analytics_tests.support.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    board_file,
    bob_leads,
    log_of_a_tick,
    make_board,
    note,
    noted,
    run,
    stats_file,
    tick,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BOARD = dg.AssetKey("top10_leaderboard")


def ranked(pipeline: Pipeline) -> bytes:
    """Write the day's file and execute the requested run. Returns the board."""
    pipeline.put(stats_file(DAY), ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    return body(pipeline, board_file(DAY))


def body(pipeline: Pipeline, key: str) -> bytes:
    stored = pipeline.lake.get(key)
    assert stored is not None
    return stored.body


def test_a_deleted_board_is_made_again(pipeline: Pipeline) -> None:
    ranked(pipeline)
    pipeline.lake.delete([board_file(DAY)])
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST
    assert tick(pipeline).days == []


def test_a_board_that_was_made_in_spite_of_a_failed_run_is_made_again_when_it_is_deleted(pipeline: Pipeline) -> None:
    """The run was launched again by hand once S3 had recovered."""
    pipeline.put(stats_file(DAY), ann_leads())
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    assert pipeline.run("leaderboard_job", DAY).success
    pipeline.lake.delete([board_file(DAY)])
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_a_wiped_asset_requests_no_run_while_its_boards_exist(pipeline: Pipeline) -> None:
    ranked(pipeline)
    pipeline.instance.wipe_assets([BOARD])
    assert tick(pipeline).skipped.startswith("All 1 boards are made")


def test_a_wiped_asset_whose_board_is_gone_is_made_again(pipeline: Pipeline) -> None:
    ranked(pipeline)
    pipeline.instance.wipe_assets([BOARD])
    pipeline.lake.delete([board_file(DAY)])
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_a_board_by_a_run_that_died_before_its_record_counts(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.FAILURE)
    make_board(pipeline, DAY, ann_leads(), recorded=False)
    assert tick(pipeline).skipped.startswith("All 1 boards are made")


@pytest.mark.trial
def test_an_older_version_of_a_board_that_is_restored_is_made_again(pipeline: Pipeline) -> None:
    older = ranked(pipeline)
    pipeline.put(stats_file(DAY), bob_leads())
    assert run(pipeline, tick(pipeline).request).success
    pipeline.put(board_file(DAY), older)
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == BOB_FIRST
    assert tick(pipeline).days == []


@pytest.mark.trial
def test_an_older_version_of_a_stats_file_that_is_restored_has_its_board(pipeline: Pipeline) -> None:
    ranked(pipeline)
    pipeline.put(stats_file(DAY), bob_leads())
    assert run(pipeline, tick(pipeline).request).success
    pipeline.put(stats_file(DAY), ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


@pytest.mark.trial
def test_a_bucket_restored_to_before_it_had_boards_gets_them_again(pipeline: Pipeline) -> None:
    days = ["2025-12-28", "2025-12-29", DAY]
    for day in days:
        pipeline.put(stats_file(day), ann_leads())
    for request in tick(pipeline).requests:
        assert run(pipeline, request).success
    pipeline.lake.delete([board_file(day) for day in days])
    assert pipeline.run_requested() == dict.fromkeys(days, True)
    assert tick(pipeline).skipped.startswith("All 3 boards")


def on_another_bucket(pipeline: Pipeline) -> Pipeline:
    """The same instance, with another bucket, which is new and empty."""
    lake = given_lake(MemoryLake(bucket=f"{pipeline.lake.bucket}-2"))
    definitions = definitions_on(small_simulation(), lake, PipelineSettings())
    return Pipeline(definitions, lake, pipeline.instance)


def copy_all(source: Pipeline, target: Pipeline) -> None:
    for key in source.content():
        target.put(key, body(source, key))


def test_another_bucket_gets_the_boards_that_it_lacks(pipeline: Pipeline) -> None:
    ranked(pipeline)
    other = on_another_bucket(pipeline)
    other.put(stats_file(DAY), ann_leads())
    assert other.run_requested() == {DAY: True}
    assert other.board(DAY) == ANN_FIRST


@pytest.mark.trial
def test_two_lakes_on_one_instance_are_independent(pipeline: Pipeline) -> None:
    other = on_another_bucket(pipeline)
    pipeline.put(stats_file(DAY), ann_leads())
    other.put(stats_file(DAY), bob_leads())
    queued = noted(pipeline, tick(pipeline).request, dg.DagsterRunStatus.QUEUED)
    assert other.run_requested() == {DAY: True}
    pipeline.instance.report_run_canceled(queued)
    assert pipeline.run_requested() == {DAY: True}
    for _ in range(2):
        assert tick(pipeline).days == tick(other).days == []
    assert (pipeline.board(DAY), other.board(DAY)) == (ANN_FIRST, BOB_FIRST)
    assert pipeline.instance.get_runs_count() == 3


def test_a_completely_copied_bucket_is_up_to_date(pipeline: Pipeline) -> None:
    ranked(pipeline)
    other = on_another_bucket(pipeline)
    copy_all(pipeline, other)
    assert tick(other).skipped.startswith("All 1 boards are made")


def put_by_parts(client: "S3Client", bucket: str, key: str, content: bytes) -> None:
    """A multipart upload gives the same bytes another ETag."""
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=content)
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]


@pytest.mark.trial
@pytest.mark.parametrize("copied", [[stats_file(DAY)], [board_file(DAY)], [stats_file(DAY), board_file(DAY)]])
def test_equal_bytes_with_the_etag_of_a_multipart_copy_count_as_equal(
    pipeline_on_s3: Pipeline, client: "S3Client", copied: list[str]
) -> None:
    ranked(pipeline_on_s3)
    before = pipeline_on_s3.content()
    for key in copied:
        put_by_parts(client, pipeline_on_s3.lake.bucket, key, body(pipeline_on_s3, key))
    assert all(pipeline_on_s3.content()[key] != before[key] for key in copied)
    assert tick(pipeline_on_s3).skipped.startswith("All 1 boards are made")


@pytest.mark.trial
def test_stats_of_this_pipeline_that_were_corrected_by_hand_are_ranked(pipeline: Pipeline) -> None:
    assert pipeline.run(ALL, DAY).success
    pipeline.put(stats_file(DAY), ann_leads())
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


@pytest.mark.trial
def test_a_foreign_board_is_replaced(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    for foreign in (b"no Parquet", b"", b"PAR1" * 9, pl.DataFrame({"rank": [1]})):
        pipeline.put(board_file(DAY), foreign)
        assert tick(pipeline).days == [DAY]
    assert run(pipeline, tick(pipeline).request).success
    assert pipeline.board(DAY) == ANN_FIRST


def test_a_board_of_an_earlier_version_names_its_stats_file_by_etag(pipeline: Pipeline) -> None:
    """After an upgrade no run is asked for where nothing has changed."""
    etag = pipeline.put(stats_file(DAY), ann_leads())
    buffer = io.BytesIO()
    pl.DataFrame({"rank": [1]}).write_parquet(buffer, metadata={"game_analytics.stats_etag": etag})
    pipeline.put(board_file(DAY), buffer.getvalue())
    note(pipeline, DAY, source_etag=etag, etag=hashlib.md5(buffer.getvalue(), usedforsecurity=False).hexdigest())
    assert tick(pipeline).skipped.startswith("All 1 boards are made")
    pipeline.put(stats_file(DAY), bob_leads())
    assert tick(pipeline).days == [DAY]


@pytest.mark.trial
def test_reused_ids_of_deleted_records_do_no_harm(kept: Pipeline) -> None:
    """SQLite gives the next record the id of the deleted one, and this process caches records by id."""
    kept.put(stats_file(DAY), ann_leads())
    first = kept.run("leaderboard_job", DAY)
    assert tick(kept).days == []  # which caches it
    before = latest_id(kept)
    kept.instance.delete_run(first.run_id)
    kept.lake.delete([board_file(DAY)])
    kept.put(stats_file(DAY), bob_leads())
    assert kept.run("leaderboard_job", DAY).success
    assert latest_id(kept) == before
    assert tick(kept).skipped.startswith("All 1 boards are made")
    kept.put(stats_file(DAY), ann_leads())
    assert tick(kept).days == [DAY]


def latest_id(pipeline: Pipeline) -> int:
    return pipeline.instance.fetch_materializations(BOARD, limit=1).records[0].storage_id


def test_boards_under_another_rule_are_counted_with_the_command_that_rebuilds_them(kept: Pipeline) -> None:
    for day, engagements in (("2025-12-27", "0"), ("2025-12-28", "20"), ("2025-12-29", "20"), (DAY, "0")):
        kept.put(stats_file(day), ann_leads())
        make_board(kept, day, ann_leads(), rule=("1", engagements), recorded=day != "2025-12-29")
    message = tick(kept).skipped
    assert message.startswith("All 4 boards are made")
    assert "2 boards were made under another rule or `min_engagements` than today's, 1 and 0" in message
    assert "--select top10_leaderboard --partition-range 2025-12-28...2025-12-29`" in message
    assert any(line.startswith("2 boards were made") for line in log_of_a_tick(kept))


@pytest.mark.trial
def test_after_two_successful_runs_without_effect_there_is_a_warning(pipeline: Pipeline) -> None:
    """As when another program restores an old board each time: Dagster would not end that loop."""
    older = ranked(pipeline)
    pipeline.put(stats_file(DAY), bob_leads())
    for _ in range(2):
        pipeline.put(board_file(DAY), older)
        assert run(pipeline, tick(pipeline).request).success
    etag = pipeline.put(board_file(DAY), older)
    message = tick(pipeline).skipped
    assert f"not visible after a run: {DAY}" in message
    assert f"the server at {pipeline.lake.endpoint} does not show it" in message
    assert f"a source with the ETag {pipeline.content()[stats_file(DAY)]}" in message
    assert f"an object with the ETag {etag}, not made from it" in message
    pipeline.put(stats_file(DAY), ann_leads())
    assert tick(pipeline).days == []  # the old board is made from these bytes
    pipeline.put(stats_file(DAY), b"others")
    assert tick(pipeline).days == [DAY]


def test_with_an_empty_history_or_a_changed_setting_old_boards_stay(pipeline: Pipeline) -> None:
    ranked(pipeline)
    settings = PipelineSettings(min_engagements=5)
    changed = replace(pipeline, definitions=definitions_on(small_simulation(), pipeline.lake_resource, settings))
    assert "1 boards were made under another rule" in tick(changed).skipped


class LyingLake(MemoryLake):
    """Behind a proxy that lists other ETags than it delivers."""

    def listing(self, prefix: str) -> Iterator[Listed]:
        return (replace(found, etag=f"listed-{found.etag}") for found in super().listing(prefix))


def test_a_listing_with_another_etag_than_get_requests_no_run() -> None:
    """The objects' own metadata decides, and is read once."""
    with pipeline_on(given_lake(LyingLake())) as pipeline:
        ranked(pipeline)
        assert tick(pipeline).skipped.startswith("All 1 boards are made")
        pipeline.put(stats_file(DAY), bob_leads())
        assert run(pipeline, tick(pipeline).request).success
        assert pipeline.board(DAY) == BOB_FIRST
        assert tick(pipeline).skipped.startswith("All 1 boards are made")
