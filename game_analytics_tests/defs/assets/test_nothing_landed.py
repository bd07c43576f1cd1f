"""A day of which messages were read and none became an event: landed, recorded, and failed; stats and board stay."""

from collections.abc import Iterator

import dagster as dg
import pytest

from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics_tests.support.harness import ALL, Pipeline, failure_of, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, kill

DAY = "2025-12-30"
STATS, BOARD = "events/2025_12_30_events.parquet", "leaderboard/2025_12_30_top10.parquet"


def log(*values: bytes) -> ListedLog:
    """A kill on the day before, and these messages at noon of the 30th."""
    messages = [at(offset, "2025-12-30 12:00", value) for offset, value in enumerate(values, 1)]
    return ListedLog({0: [at(0, "2025-12-29 12:00", kill("ann")), *messages]})


@pytest.fixture
def unreadable(lake_resource: LakeResource) -> Iterator[Pipeline]:
    with pipeline_on(lake_resource, given_log(log(b"oops", b"oops"))) as pipeline:
        yield pipeline


def has_events(result: dg.ExecuteInProcessResult) -> tuple[bool, dg.AssetCheckSeverity, str]:
    [found] = [each for each in result.get_asset_check_evaluations() if each.check_name == "has_events"]
    return found.passed, found.severity, str(found.description)


def test_its_run_fails_after_the_landing_is_committed_and_recorded(unreadable: Pipeline) -> None:
    result = unreadable.run(ALL, DAY)
    assert not result.success
    failure = failure_of(result)
    assert failure.startswith(f"None of the messages of {DAY} became an event: 2 could not be read, 2 of them not_json")
    assert has_events(result) == (False, dg.AssetCheckSeverity.ERROR, f"{DAY}: {failure}")
    assert unreadable.recorded("raw_events", DAY, "quarantined") == 2
    assert unreadable.lake.etag("raw/manifests/2025_12_30.json") is not None
    assert unreadable.lake.etag(STATS) is None
    assert unreadable.recorded_days("daily_player_stats") == []


def test_stats_and_board_of_an_earlier_landing_stay(lake_resource: LakeResource, unreadable: Pipeline) -> None:
    with pipeline_on(lake_resource, given_log(log(kill("ann"), kill("bob")))) as readable:
        assert readable.run(ALL, DAY).success
    before = (unreadable.lake.etag(STATS), unreadable.lake.etag(BOARD))
    assert not unreadable.run(ALL, DAY).success
    assert (unreadable.lake.etag(STATS), unreadable.lake.etag(BOARD)) == before


def test_its_stats_are_refused_by_themselves_too(unreadable: Pipeline) -> None:
    unreadable.run(ALL, DAY)
    result = unreadable.run("stats_job", DAY)
    assert "None of the messages of 2025-12-30 became an event: 2 could not be read" in failure_of(result)
    assert unreadable.lake.etag(STATS) is None


def test_with_the_names_of_its_types_set_it_is_landed(lake_resource: LakeResource) -> None:
    frags = given_log(log(kill("ann", event_type="frag"), kill("bob", event_type="died")))
    with pipeline_on(lake_resource, frags) as pipeline:
        assert "2 are of ignored types (died 1, frag 1)" in failure_of(pipeline.run(ALL, DAY))
        assert pipeline.board(DAY) is None
    with pipeline_on(lake_resource, frags, PipelineSettings(kill_types=["frag"], death_types=["died"])) as pipeline:
        assert pipeline.run(ALL, DAY).success
        assert pipeline.board(DAY) == [(1, "ann", 1, 0, 1.0), (2, "bob", 0, 1, 0.0)]
