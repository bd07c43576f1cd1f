"""Provenance of the published files: each names its input by hash, in its metadata and in Dagster's records."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics_tests.support.harness import ALL, Pipeline, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, death, kill

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = "2025-12-30"
MANIFEST = "raw/manifests/2025_12_30.json"
STATS = "events/2025_12_30_events.parquet"
BOARD = "leaderboard/2025_12_30_top10.parquet"


def two_kills_and_a_death() -> ListedLog:
    return ListedLog(
        {
            0: [
                at(0, "2025-12-30 12:00", kill("ann", event_id="e1")),
                at(1, "2025-12-30 13:00", kill("ann", event_id="e2")),
                at(2, "2025-12-30 13:00", death("bob", event_id="e2")),
            ]
        }
    )


@pytest.fixture
def pipeline(lake_on_s3: LakeResource) -> Iterator[Pipeline]:
    """The 30th, from messages to its board."""
    with pipeline_on(lake_on_s3, given_log(two_kills_and_a_death())) as pipeline:
        assert pipeline.run(ALL, DAY).success
        yield pipeline


def sha256(lake: Lake, key: str) -> str:
    stored = lake.get(key)
    assert stored is not None
    return hashlib.sha256(stored.body).hexdigest()


def own_metadata(lake: Lake, key: str) -> dict[str, str]:
    return {name: value for name, value in lake.parquet_metadata(key).items() if name.startswith("game_analytics.")}


@pytest.mark.trial
def test_stats_name_their_manifest_by_hash_and_have_checksums(pipeline: Pipeline) -> None:
    assert own_metadata(pipeline.lake, STATS) == {
        "game_analytics.manifest_sha256": sha256(pipeline.lake, MANIFEST),
        "game_analytics.counted": "rows=2 kills=2 deaths=1",
        "game_analytics.rows_sha256": hashlib.sha256(b"ann\t2\t0\nbob\t0\t1\n").hexdigest(),
    }


def test_a_board_names_its_stats_by_hash(pipeline: Pipeline) -> None:
    assert own_metadata(pipeline.lake, BOARD) == {
        "game_analytics.stats_sha256": sha256(pipeline.lake, STATS),
        "game_analytics.rule_version": "1",
        "game_analytics.min_engagements": "0",
    }


@pytest.mark.parametrize(
    ("asset", "key", "source"), [("daily_player_stats", STATS, MANIFEST), ("top10_leaderboard", BOARD, STATS)]
)
def test_a_record_has_the_lake_and_etag_and_hash_of_input_and_output(
    pipeline: Pipeline, asset: str, key: str, source: str
) -> None:
    names = ("lake", "etag", "sha256", "source_etag", "source_sha256")
    lake = pipeline.lake
    assert [pipeline.recorded(asset, DAY, name) for name in names] == [
        f"s3://{lake.bucket} at {lake.endpoint}",
        lake.etag(key),
        sha256(lake, key),
        lake.etag(source),
        sha256(lake, source),
    ]


@pytest.mark.trial
def test_a_multipart_copy_gives_the_same_files_though_etags_differ(pipeline: Pipeline, client: "S3Client") -> None:
    before = {key: sha256(pipeline.lake, key) for key in pipeline.content()}
    etags = pipeline.content()
    for key in before:
        copy_by_parts(pipeline.lake, client, key)
    assert {key for key, etag in pipeline.content().items() if etag == etags[key]} == set()

    assert pipeline.run(ALL, DAY).success

    assert {key: sha256(pipeline.lake, key) for key in pipeline.content()} == before


def copy_by_parts(lake: Lake, client: "S3Client", key: str) -> None:
    """As `aws s3 sync` and rclone upload large files: equal bytes, with an ETag that is not their MD5."""
    stored = lake.get(key)
    assert stored is not None
    upload = client.create_multipart_upload(Bucket=lake.bucket, Key=key)["UploadId"]
    part = client.upload_part(Bucket=lake.bucket, Key=key, UploadId=upload, PartNumber=1, Body=stored.body)
    client.complete_multipart_upload(
        Bucket=lake.bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
