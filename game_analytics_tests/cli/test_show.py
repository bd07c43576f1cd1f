"""`game-analytics show` on a lake with published files."""

import subprocess

import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.commands import run_on
from game_analytics_tests.support.harness import parquet, pipeline_on

DAY = "2025-12-30"


def twelve_players() -> pl.DataFrame:
    """p01 is the best, p12 the worst; the last name contains a colour escape."""
    names = [f"p{number:02}" for number in range(1, 12)] + ["p12\x1b[31m[bold]"]
    return pl.DataFrame({"player_id": names, "kills": [20 - place for place in range(12)], "deaths": [2] * 12})


@pytest.fixture
def stats(lake_resource: LakeResource) -> LakeResource:
    lake_resource.open().put("events/2025_12_30_events.parquet", parquet(twelve_players()))
    return lake_resource


def show(s3: S3Endpoint, lake: LakeResource, *words: str) -> subprocess.CompletedProcess[str]:
    return run_on(s3, lake, "show", *words)


def lines_of(output: str) -> list[list[str]]:
    """The words of each row of a table."""
    return [line.split() for line in output.splitlines() if line.split() and line.split()[0].isdigit()]


def test_the_published_board_is_printed(s3: S3Endpoint, stats: LakeResource) -> None:
    with pipeline_on(stats) as pipeline:
        assert pipeline.run("leaderboard_job", DAY).success
    done = show(s3, stats, DAY)
    assert done.returncode == 0, done.stderr
    assert "Top ten of 2025-12-30" in done.stdout
    assert lines_of(done.stdout)[0] == ["1", "p01", "20", "2", "10.00"]
    assert len(lines_of(done.stdout)) == 10


def test_a_player_outside_the_top_ten_is_shown_with_neighbours(s3: S3Endpoint, stats: LakeResource) -> None:
    done = show(s3, stats, DAY, "--player", "p11")
    assert done.returncode == 0, done.stderr
    assert "rank 11" in done.stdout
    assert [line[:2] for line in lines_of(done.stdout)] == [
        ["9", "p09"],
        ["10", "p10"],
        ["11", "p11"],
        ["12", r"p12\x1b[31m[bold]"],
    ]
    assert "\x1b" not in done.stdout


def test_a_player_below_the_board_s_own_threshold_is_not_ranked(s3: S3Endpoint, stats: LakeResource) -> None:
    with pipeline_on(stats) as pipeline:
        assert pipeline.run("leaderboard_job", DAY, config={"top10_leaderboard": {"min_engagements": 13}}).success
    done = show(s3, stats, DAY, "--player", "p11")
    assert done.returncode == 1
    assert "'p11' is not ranked on 2025-12-30: 10 kills and 2 deaths are fewer than the 13" in done.stderr


def test_a_day_without_a_board_and_a_player_who_did_not_play_are_named(s3: S3Endpoint, stats: LakeResource) -> None:
    assert "no board of 2025-12-30 was published" in show(s3, stats, DAY).stderr
    assert "'nobody' has no kill and no death on 2025-12-30" in show(s3, stats, DAY, "--player", "nobody").stderr


def test_an_invalid_day_is_refused(s3: S3Endpoint, stats: LakeResource) -> None:
    done = show(s3, stats, "2025-02-30")
    assert done.returncode == 2
    assert "'2025-02-30'" in done.stderr
