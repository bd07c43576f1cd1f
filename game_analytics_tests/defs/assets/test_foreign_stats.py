"""Stats files that other programs wrote to events/: valid ones are ranked, invalid ones fail their own day, saying
why."""

import hashlib
from collections.abc import Iterator

import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics_tests.support.harness import Pipeline, failure_of, foreign_stats, given_log, parquet, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.stats_files import BAD_FILES, columns

BOARD_JOB = "leaderboard_job"
DAY = "2025-12-30"
KEY = "events/2025_12_30_events.parquet"


@pytest.fixture
def pipeline(lake_resource: LakeResource) -> Iterator[Pipeline]:
    with pipeline_on(lake_resource) as on_a_new_lake:
        yield on_a_new_lake


def test_a_file_from_outside_with_other_integers_and_further_columns_is_ranked(pipeline: Pipeline) -> None:
    stats = pl.DataFrame(
        {"season": [3, 3], "deaths": [2, 0], "player_id": ["bob", "ann"], "kills": [7, 4]},
        schema={"season": pl.Int8, "deaths": pl.UInt64, "player_id": pl.String, "kills": pl.Int8},
    )
    etag = pipeline.put(KEY, stats)
    assert pipeline.run(BOARD_JOB, DAY).success
    assert pipeline.board(DAY) == [(1, "ann", 4, 0, 4.0), (2, "bob", 7, 2, 3.5)]
    assert pipeline.recorded("top10_leaderboard", DAY, "source_etag") == etag


def test_a_board_names_its_rule_in_its_metadata(pipeline: Pipeline) -> None:
    stats = parquet(foreign_stats(ann=(4, 0)))
    pipeline.put(KEY, stats)
    assert pipeline.run(BOARD_JOB, DAY, config={"top10_leaderboard": {"min_engagements": 3}}).success
    made_from = pipeline.lake.parquet_metadata("leaderboard/2025_12_30_top10.parquet")
    assert made_from["game_analytics.stats_sha256"] == hashlib.sha256(stats).hexdigest()
    assert made_from["game_analytics.rule_version"] == "1"
    assert made_from["game_analytics.min_engagements"] == "3"


def test_a_run_can_require_more_engagements(pipeline: Pipeline) -> None:
    pipeline.put(KEY, foreign_stats(lucky=(3, 0), steady=(20, 10)))
    assert pipeline.run(BOARD_JOB, DAY, config={"top10_leaderboard": {"min_engagements": 30}}).success
    assert pipeline.board(DAY) == [(1, "steady", 20, 10, 2.0)]


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_fails_its_day_by_name_and_the_board_stays(pipeline: Pipeline, name: str) -> None:
    content, named = BAD_FILES[name]
    pipeline.put(KEY, foreign_stats(ann=(4, 0)))
    assert pipeline.run(BOARD_JOB, DAY).success
    standing = pipeline.board(DAY)
    pipeline.put(KEY, content)

    result = pipeline.run(BOARD_JOB, DAY)

    assert not result.success
    for part in [f"s3://{pipeline.lake.bucket}/{KEY}", *named, "Write the file again"]:
        assert part in failure_of(result)
    assert pipeline.board(DAY) == standing


def test_in_a_range_a_bad_file_fails_its_own_day_alone(pipeline: Pipeline) -> None:
    pipeline.put("events/2025_12_28_events.parquet", foreign_stats(ann=(1, 1)))
    pipeline.put("events/2025_12_29_events.parquet", b"garbage")
    pipeline.put("events/2025_12_30_events.parquet", columns(player_id=["x", "x", "y"]))
    pipeline.put("events/2025_12_31_events.parquet", foreign_stats(bob=(2, 1)))

    result = pipeline.run(BOARD_JOB, days=("2025-12-28", "2025-12-31"))

    failure = failure_of(result)
    assert "2 of 4 days failed" in failure
    assert "2025-12-29: s3://" in failure
    assert "2025-12-30: s3://" in failure
    assert pipeline.recorded_days("top10_leaderboard") == ["2025-12-28", "2025-12-31"]
    assert pipeline.recorded("top10_leaderboard", "2025-12-31", "board").count("bob") == 1
    assert pipeline.board("2025-12-28") == [(1, "ann", 1, 1, 1.0)]
    assert pipeline.board("2025-12-29") is None


def test_a_missing_stats_file_is_named_with_the_next_step(pipeline: Pipeline) -> None:
    failure = failure_of(pipeline.run(BOARD_JOB, DAY))
    assert f"{KEY} does not exist" in failure
    assert "Materialize daily_player_stats for 2025-12-30" in failure


def test_an_empty_landing_replaces_own_stats_and_warns(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(ListedLog({0: []}))) as pipeline:
        for _ in range(2):
            result = pipeline.run("daily_stats_job", DAY)
            assert result.success
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
        assert checks["has_events"] is False
        stats = pipeline.lake.read_parquet(KEY)
        assert stats is not None
        assert stats.height == 0
        assert pipeline.run(BOARD_JOB, DAY).success
        assert pipeline.board(DAY) == []


def test_names_with_markup_are_shown_as_text(pipeline: Pipeline) -> None:
    pipeline.put(KEY, pl.DataFrame({"player_id": ["<img src=x>|**a**\x1b[31m"], "kills": [1], "deaths": [1]}))
    assert pipeline.run(BOARD_JOB, DAY).success
    board = pipeline.recorded("top10_leaderboard", DAY, "board")
    assert r"`<img src=x>`\|`**a**\x1b[31m`" in board
