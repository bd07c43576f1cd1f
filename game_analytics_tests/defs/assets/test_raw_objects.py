"""Raw objects that are gone or differ from the manifest: named by key before anything is counted."""

import json
from collections.abc import Iterator

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake, Listed
from game_analytics.landing.reread import reread_day
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics_tests.support.harness import ALL, Pipeline, failure_of, given_log, pipeline_on
from game_analytics_tests.support.lakes import MemoryLake, given_lake
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import DAY, MORNING_AFTER, at, kill, land, standing

MANIFEST = "raw/manifests/2025_12_30.json"
STATS = "events/2025_12_30_events.parquet"
BOARD = "leaderboard/2025_12_30_top10.parquet"


def two_partitions() -> ListedLog:
    """One object with a kill of ann's, one with two of bob's, and one with a message that can't be read."""
    return ListedLog(
        {
            0: [at(0, "2025-12-30 12:00", kill("ann", event_id="e1")), at(1, "2025-12-30 12:00", b"not JSON")],
            1: [
                at(0, "2025-12-30 12:00", kill("bob", event_id="e2")),
                at(1, "2025-12-30 13:00", kill("bob", event_id="e3")),
            ],
        }
    )


@pytest.fixture
def pipeline(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """The 30th, from messages to its board."""
    with pipeline_on(lake_resource, given_log(two_partitions())) as pipeline:
        assert pipeline.run(ALL, DAY.isoformat()).success
        yield pipeline


def raw_keys(lake: Lake) -> list[str]:
    return standing(lake).keys("raw")


def refusal(lake: Lake) -> str:
    """The error of a count that leaves the stats unchanged."""
    before = lake.get(STATS)
    with pytest.raises(GameAnalyticsError) as error:
        publish_stats(lake, DAY)
    assert lake.get(STATS) == before
    return str(error.value)


def as_earlier_versions_wrote_it(lake: Lake) -> None:
    """The manifest, without sizes."""
    stored = lake.get(MANIFEST)
    assert stored is not None
    manifest = json.loads(stored.body)
    for listed in manifest["objects"]:
        del listed["bytes"]
    lake.put(MANIFEST, json.dumps({**manifest, "version": 1}).encode())


# -- other bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.trial
def test_an_object_that_was_replaced_under_its_name_is_named_and_not_counted(pipeline: Pipeline) -> None:
    lake, (_, of_bob) = pipeline.lake, raw_keys(pipeline.lake)
    own, other = lake.get(of_bob), lake.get(STATS)
    assert own is not None
    assert other is not None
    lake.put(of_bob, other.body)
    text = refusal(lake)
    assert f"s3://{lake.bucket}/{of_bob} has {len(other.body):,} bytes, and {len(own.body):,} by s3://" in text
    assert f"{MANIFEST}: it was damaged or replaced. Nothing was counted" in text
    assert "Land the day again" in text

    assert pipeline.run(ALL, DAY.isoformat()).success  # which restores the object
    assert lake.get(of_bob) == own


@pytest.mark.parametrize("earlier", [False, True])
def test_an_empty_object_is_named_also_by_a_manifest_without_sizes(pipeline: Pipeline, *, earlier: bool) -> None:
    lake, (of_ann, _) = pipeline.lake, raw_keys(pipeline.lake)
    if earlier:
        as_earlier_versions_wrote_it(lake)
    lake.put(of_ann, b"")
    assert f"s3://{lake.bucket}/{of_ann} has 0 bytes" in refusal(lake)


def test_a_manifest_without_sizes_is_counted(pipeline: Pipeline) -> None:
    as_earlier_versions_wrote_it(pipeline.lake)
    published = publish_stats(pipeline.lake, DAY)
    assert (published.landing.manifest.total()["landed"], published.counted.by_column["kills"]) == (3, 3)


def test_an_object_of_the_right_size_that_is_no_parquet_is_named(pipeline: Pipeline) -> None:
    lake, (of_ann, _) = pipeline.lake, raw_keys(pipeline.lake)
    own = lake.get(of_ann)
    assert own is not None
    lake.put(of_ann, b"x" * len(own.body))
    text = refusal(lake)
    assert f"s3://{lake.bucket}/{of_ann}" in text
    assert "Land the day again" in text


# -- gone -------------------------------------------------------------------------------------------------------------


def test_one_object_that_is_gone_is_named(pipeline: Pipeline) -> None:
    lake, (of_ann, _) = pipeline.lake, raw_keys(pipeline.lake)
    lake.delete([of_ann])
    text = refusal(lake)
    assert text.startswith(f"s3://{lake.bucket}/{of_ann}, which s3://{lake.bucket}/{MANIFEST} lists, is gone.")
    assert "Land the day again" in text


def test_if_all_are_gone_it_says_so_and_what_is_still_published(pipeline: Pipeline) -> None:
    lake = pipeline.lake
    lake.delete(raw_keys(lake))
    text = refusal(lake)
    assert text.startswith(f"All 2 raw objects of 2025-12-30 that s3://{lake.bucket}/{MANIFEST} lists are gone: ")
    assert "a lifecycle rule may have expired raw/" in text
    assert f"Still there, and unchanged: s3://{lake.bucket}/{STATS} and s3://{lake.bucket}/{BOARD}." in text
    assert "materialize raw_events for it while the log still holds it" in text
    assert f"restore s3://{lake.bucket}/raw/2025_12_30/ from a backup" in text


def test_if_all_are_gone_and_nothing_is_published_it_says_so(pipeline: Pipeline) -> None:
    lake = pipeline.lake
    lake.delete([*raw_keys(lake), STATS, BOARD])
    assert "Nothing of it was published." in refusal(lake)


def test_if_the_manifest_is_gone_too_the_day_does_not_count_as_never_landed(pipeline: Pipeline) -> None:
    lake = pipeline.lake
    lake.delete([*raw_keys(lake), MANIFEST])
    text = refusal(lake)
    assert text.startswith(
        f"s3://{lake.bucket}/{MANIFEST} does not exist, though s3://{lake.bucket}/{STATS} was counted"
    )
    assert "a lifecycle rule may have expired raw/" in text
    assert f"Still there, and unchanged: s3://{lake.bucket}/{STATS} and s3://{lake.bucket}/{BOARD}." in text


def test_an_empty_day_has_no_object_that_could_be_gone(lake: Lake) -> None:
    land(ListedLog({0: []}), lake)
    assert publish_stats(lake, DAY).landing.manifest.total()["landed"] == 0


def test_a_missing_quarantine_object_is_reported_with_the_remedy(pipeline: Pipeline) -> None:
    lake = pipeline.lake
    (key,) = standing(lake).keys("quarantine")
    lake.delete([key])
    with pytest.raises(GameAnalyticsError) as error:
        reread_day(lake, DAY, clock=lambda: MORNING_AFTER)
    text = str(error.value)
    assert text.startswith(
        f"s3://{lake.bucket}/{key}, which s3://{lake.bucket}/{MANIFEST} lists, is missing: a lifecycle"
    )
    assert "stats and board of 2025-12-30 stay as they are" in text
    assert "materialize raw_events for 2025-12-30 without `reread_quarantine` while the log still holds the day" in text


# -- a server whose listing is wrong -----------------------------------------------------------------------------------


class ListsOtherwise(MemoryLake):
    """A server whose listing has wrong ETags and sizes, like that of some proxies."""

    def listing(self, prefix: str) -> Iterator[Listed]:
        for found in super().listing(prefix):
            yield Listed(found.key, f"other-{found.etag}", found.last_modified, found.size + 28)


def listed_otherwise(lake: Lake) -> Lake:
    assert isinstance(lake, MemoryLake)
    return ListsOtherwise(objects=lake.objects)


@pytest.mark.trial
def test_a_listing_with_wrong_etags_and_sizes_changes_nothing(pipeline: Pipeline) -> None:
    before = pipeline.content()
    with pipeline_on(given_lake(listed_otherwise(pipeline.lake)), given_log(two_partitions())) as through_a_proxy:
        for _ in range(2):
            result = through_a_proxy.run(ALL, DAY.isoformat())
            assert result.success, failure_of(result)
    assert pipeline.content() == before


def test_with_such_a_listing_a_damaged_object_is_still_named(pipeline: Pipeline) -> None:
    of_ann, _ = raw_keys(pipeline.lake)
    pipeline.lake.put(of_ann, b"short")
    assert f"{of_ann} has 5 bytes" in refusal(listed_otherwise(pipeline.lake))
