"""Which stats files a count replaces: this pipeline's own; foreign or corrected ones only if the run config says
so."""

import io
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics_tests.support.harness import Pipeline, failure_of, foreign_stats, given_log, parquet, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import DAY, NEXT_DAY, at, death, kill, land, utc
from game_analytics_tests.support.stats_files import BAD_FILES

KEY = "events/2025_12_30_events.parquet"
BOTH_WAYS_OUT = ("remove the file", "daily_player_stats with `replace_foreign_stats: true` in its run config")
ASKED_FOR = {"daily_player_stats": {"replace_foreign_stats": True}}


def two_players() -> list[Message]:
    """ann kills bob twice."""
    return [
        at(0, "2025-12-30 12:00", kill("ann", event_id="e1")),
        at(1, "2025-12-30 12:00", death("bob", event_id="e1")),
        at(2, "2025-12-30 13:00", kill("ann", event_id="e2")),
        at(3, "2025-12-30 13:00", death("bob", event_id="e2")),
    ]


def log() -> ListedLog:
    return ListedLog({0: two_players()})


@pytest.fixture
def pipeline(lake_resource: LakeResource) -> Iterator[Pipeline]:
    with pipeline_on(lake_resource, given_log(log())) as on_a_new_lake:
        yield on_a_new_lake


@pytest.fixture
def landed(lake: Lake) -> Lake:
    """A lake in which the 30th is landed."""
    land(log(), lake)
    return lake


def rows(lake: Lake) -> list[tuple[object, ...]]:
    stats = lake.read_parquet(KEY)
    assert stats is not None
    return stats.rows()


def refusal(lake: Lake) -> str:
    """The error of a count that leaves the file unchanged."""
    before = lake.get(KEY)
    with pytest.raises(GameAnalyticsError) as error:
        publish_stats(lake, DAY)
    assert lake.get(KEY) == before
    for way_out in BOTH_WAYS_OUT:
        assert way_out in str(error.value)
    return str(error.value)


# -- foreign files ---------------------------------------------------------------------------------------------------


def test_a_foreign_file_stays_and_its_day_fails_with_both_remedies(pipeline: Pipeline) -> None:
    etag = pipeline.put(KEY, foreign_stats(ann=(4, 0)))
    failure = failure_of(pipeline.run("daily_stats_job", DAY.isoformat()))
    assert f"s3://{pipeline.lake.bucket}/{KEY} was not written by this pipeline" in failure
    for way_out in BOTH_WAYS_OUT:
        assert way_out in failure
    assert pipeline.content()[KEY] == etag


def test_a_foreign_file_is_replaced_if_the_run_config_says_so(pipeline: Pipeline) -> None:
    pipeline.put(KEY, foreign_stats(ann=(4, 0)))
    assert pipeline.run("daily_stats_job", DAY.isoformat(), config=ASKED_FOR).success
    assert rows(pipeline.lake) == [("ann", 2, 0), ("bob", 0, 2)]
    assert pipeline.run("daily_stats_job", DAY.isoformat()).success  # now this pipeline has written it


def test_a_removed_foreign_file_is_replaced(pipeline: Pipeline) -> None:
    pipeline.put(KEY, foreign_stats(ann=(4, 0)))
    assert not pipeline.run("daily_stats_job", DAY.isoformat()).success
    pipeline.lake.delete([KEY])
    assert pipeline.run("daily_stats_job", DAY.isoformat()).success
    assert rows(pipeline.lake) == [("ann", 2, 0), ("bob", 0, 2)]


def test_a_foreign_file_stays_even_if_its_rows_are_equal(landed: Lake) -> None:
    landed.put(KEY, parquet(foreign_stats(ann=(2, 0), bob=(0, 2))))
    assert "was not written by this pipeline" in refusal(landed)


@pytest.mark.parametrize("name", BAD_FILES)
def test_an_object_of_any_content_stays_and_is_named(landed: Lake, name: str) -> None:
    content, _ = BAD_FILES[name]
    landed.put(KEY, content if isinstance(content, bytes) else parquet(content))
    assert f"s3://{landed.bucket}/{KEY} was not written by this pipeline" in refusal(landed)


def test_in_a_range_only_the_day_of_the_file_fails(lake_resource: LakeResource) -> None:
    messages = [*two_players(), at(4, "2025-12-31 12:00", kill("cid", event_id="e9"))]
    with pipeline_on(lake_resource, given_log(ListedLog({0: messages}))) as pipeline:
        pipeline.put(KEY, foreign_stats(ann=(4, 0)))
        failure = failure_of(pipeline.run("daily_stats_job", days=(DAY.isoformat(), NEXT_DAY.isoformat())))
        assert "1 of 2 days failed" in failure
        assert f"{DAY}: s3://{pipeline.lake.bucket}/{KEY} was not written by this pipeline" in failure
        assert pipeline.recorded_days("daily_player_stats") == [NEXT_DAY.isoformat()]


def test_an_empty_day_does_not_replace_a_foreign_file(lake: Lake) -> None:
    land(ListedLog({0: []}), lake)
    lake.put(KEY, parquet(foreign_stats(ann=(4, 0))))
    assert "was not written by this pipeline" in refusal(lake)
    publish_stats(lake, DAY, replace_foreign=True)
    assert rows(lake) == []


# -- this pipeline's own ----------------------------------------------------------------------------------------------


def test_a_day_that_is_landed_again_is_counted_again(landed: Lake) -> None:
    publish_stats(landed, DAY)
    healed = [*two_players(), at(4, "2025-12-31 03:00", kill("bob", event_id="e3", ts="2025-12-30T23:50:00Z"))]
    land(
        ListedLog({0: healed}),
        landed,
        now=utc("2025-12-31 09:00"),
        lateness=utc("2025-12-31 08:00") - utc("2025-12-31 00:00"),
    )
    publish_stats(landed, DAY)
    assert rows(landed) == [("ann", 2, 0), ("bob", 1, 2)]


def test_counting_again_gives_the_same_bytes(landed: Lake) -> None:
    publish_stats(landed, DAY)
    first = landed.get(KEY)
    publish_stats(landed, DAY)
    assert landed.get(KEY) == first


def test_a_day_that_was_empty_is_this_pipelines_own(lake: Lake) -> None:
    land(ListedLog({0: []}), lake)
    publish_stats(lake, DAY)
    assert lake.parquet_metadata(KEY)["game_analytics.counted"] == "rows=0 kills=0 deaths=0"
    land(log(), lake)
    publish_stats(lake, DAY)
    assert rows(lake) == [("ann", 2, 0), ("bob", 0, 2)]


def test_a_file_of_an_earlier_version_is_this_pipelines_own(landed: Lake) -> None:
    landed.put(KEY, to_parquet(foreign_stats(ann=(4, 0)), {"game_analytics.manifest_etag": "0123"}))
    publish_stats(landed, DAY)
    assert rows(landed) == [("ann", 2, 0), ("bob", 0, 2)]


def test_a_file_of_a_version_with_fewer_metrics_is_this_pipelines_own(landed: Lake) -> None:
    publish_stats(landed, DAY)
    own = landed.parquet_metadata(KEY)
    fewer = pl.DataFrame({"player_id": ["ann"], "kills": [2]})
    told = {
        "game_analytics.manifest_sha256": own["game_analytics.manifest_sha256"],
        "game_analytics.counted": "rows=1 kills=2",
    }
    landed.put(KEY, to_parquet(fewer, told))
    publish_stats(landed, DAY)
    assert rows(landed) == [("ann", 2, 0), ("bob", 0, 2)]


# -- its own, corrected by hand ---------------------------------------------------------------------------------------


Correction = Callable[[bytes], bytes]


def by_a_tool(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Correction:
    """A correction by a tool that copies the file's metadata, as pyarrow does."""

    def correct(body: bytes) -> bytes:
        metadata = pl.read_parquet_metadata(io.BytesIO(body))
        own = {name: value for name, value in metadata.items() if name.startswith("game_analytics.")}
        buffer = io.BytesIO()
        change(pl.read_parquet(io.BytesIO(body))).write_parquet(buffer, compression="snappy", metadata=own)
        return buffer.getvalue()

    return correct


def with_columns(**values: pl.Series) -> Correction:
    return by_a_tool(lambda stats: stats.with_columns(**values))


CORRECTIONS: dict[str, Correction] = {
    "a cheat's kills are taken away": with_columns(kills=pl.Series([0, 0])),
    "a cheat is struck": by_a_tool(lambda stats: stats.slice(1)),
    "a kill goes to another player": with_columns(kills=pl.Series([1, 1])),
    "a player gets another name": with_columns(player_id=pl.Series(["anna", "bob"])),
    "a column more": with_columns(season=pl.Series([3, 3])),
    "a column of text more": with_columns(team=pl.Series(["a", "b"])),
    "a column less": by_a_tool(lambda stats: stats.drop("deaths")),
    "counts of another kind": with_columns(kills=pl.Series([2.0, 0.0])),
    "no rows, no columns": by_a_tool(lambda stats: stats.select()),
    "rows that can't be read": lambda body: body[:4] + b"\xff" * 40 + body[44:],
}


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_correction_stays_though_the_files_metadata_is_kept(landed: Lake, name: str) -> None:
    publish_stats(landed, DAY)
    own = landed.get(KEY)
    assert own is not None
    landed.put(KEY, CORRECTIONS[name](own.body))
    assert "game_analytics.manifest_sha256" in landed.parquet_metadata(KEY)
    assert f"s3://{landed.bucket}/{KEY} was changed since this pipeline wrote it" in refusal(landed)
    publish_stats(landed, DAY, replace_foreign=True)
    assert landed.get(KEY) == own


def test_a_file_rewritten_by_another_tool_with_equal_rows_is_replaced(landed: Lake) -> None:
    publish_stats(landed, DAY)
    own = landed.get(KEY)
    assert own is not None
    landed.put(KEY, by_a_tool(lambda stats: stats)(own.body))
    publish_stats(landed, DAY)
    assert landed.get(KEY) == own


def test_a_correction_during_the_count_is_not_overwritten(lake_on_s3: LakeResource) -> None:
    lake = lake_on_s3.open()
    land(log(), lake)
    publish_stats(lake, DAY)
    corrected = parquet(foreign_stats(ann=(1, 0)))

    class CorrectedMeanwhile(Lake):
        """The file is corrected after this run has checked that it is this pipeline's own."""

        def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
            if lake.etag(KEY) != lake.put("elsewhere", corrected):
                lake.put(KEY, corrected)
            return super().collect(query)

    with pytest.raises(GameAnalyticsError, match="was not written by this pipeline"):
        publish_stats(CorrectedMeanwhile(lake_on_s3.settings()), DAY)
    stands = lake.get(KEY)
    assert stands is not None
    assert stands.body == corrected
