"""The three assets together: one day, twice, a range, and two runs at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics_tests.support.harness import ALL, Pipeline, failure_of, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog, Message

DAY = "2025-12-30"


def at(hour: int, minute: int = 0, day: int = 30) -> datetime:
    return datetime(2025, 12, day, hour, minute, tzinfo=UTC)


def event(kind: str, player: str, event_id: str, day: int = 30) -> bytes:
    return (
        f'{{"event_type":"{kind}","player_id":"{player}","event_id":"{event_id}","ts":"2025-12-{day}T10:00:00Z"}}'
    ).encode()


def one_small_day() -> ListedLog:
    """Two partitions: ann kills bob and cid, cid kills bob; one delivery is repeated, one message can't be read."""
    return ListedLog(
        {
            0: [
                Message(0, at(10), event("KILL", "ann", "e1")),
                Message(1, at(10), event("KILL", "ann", "e2")),
                Message(2, at(10), event("KILL", "ann", "e2")),  # delivered again
                Message(3, at(11), b"not JSON"),
            ],
            1: [
                Message(0, at(10), event("DEATH", "bob", "e1")),
                Message(1, at(10), event("DEATH", "cid", "e2")),
                Message(2, at(10), b'{"event_type":"CHAT"}'),  # legal, but not counted
                Message(3, at(10, 5), event("DEATH", "bob", "e3")),
                Message(4, at(10, 5), event("KILL", "cid", "e3")),
                Message(5, at(0, 10, day=31), event("KILL", "bob", "e9", day=31)),  # the next day's
            ],
        }
    )


@pytest.fixture
def small(lake_resource: LakeResource) -> Iterator[Pipeline]:
    with pipeline_on(lake_resource, given_log(one_small_day())) as pipeline:
        yield pipeline


def test_a_day_goes_from_messages_to_a_board(small: Pipeline) -> None:
    assert small.run(ALL, DAY).success
    assert small.board(DAY) == [
        (1, "ann", 2, 0, 2.0),
        (2, "cid", 1, 1, 1.0),
        (3, "bob", 0, 2, 0.0),
    ]
    stats = small.lake.read_parquet("events/2025_12_30_events.parquet")
    assert stats is not None
    assert stats.rows() == [("ann", 2, 0), ("bob", 0, 2), ("cid", 1, 1)]


def test_the_account_of_the_day_is_in_the_metadata(small: Pipeline) -> None:
    small.run(ALL, DAY)
    account = {
        name: small.recorded("raw_events", DAY, name) for name in ("read", "ignored", "other_days", "quarantined")
    }
    assert account == {"read": 10, "ignored": 1, "other_days": 1, "quarantined": 1}
    assert small.recorded("raw_events", DAY, "dagster/row_count") == 7
    assert small.recorded("daily_player_stats", DAY, "duplicates") == 1
    assert "| `not_json` | 1 | `not JSON` |" in small.recorded("raw_events", DAY, "quarantine")
    assert small.recorded("raw_events", DAY, "window") == "2025-12-29 23:55 to 2025-12-31 01:00 UTC"


def test_the_board_is_shown_as_a_table_with_two_decimals(small: Pipeline) -> None:
    small.run(ALL, DAY)
    assert "| 1 | `ann` | 2 | 0 | 2.00 |" in small.recorded("top10_leaderboard", DAY, "board")


@pytest.mark.trial
def test_the_same_messages_give_the_same_bytes(small: Pipeline) -> None:
    small.run(ALL, DAY)
    first = small.content()
    assert small.run(ALL, DAY).success
    assert small.content() == first
    assert set(first) >= {
        "raw/manifests/2025_12_30.json",
        "events/2025_12_30_events.parquet",
        "leaderboard/2025_12_30_top10.parquet",
    }


@pytest.mark.trial
def test_simulated_days_are_the_same_in_a_range_and_one_by_one(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as one_by_one:
        for day in ("2025-12-29", "2025-12-30", "2025-12-31"):
            assert one_by_one.run(ALL, day).success
        content = one_by_one.content()
        one_by_one.lake.delete(content)
    with pipeline_on(lake_resource) as in_a_range:
        assert in_a_range.run(ALL, days=("2025-12-29", "2025-12-31")).success
        assert in_a_range.content() == content
        for asset in ("raw_events", "daily_player_stats", "top10_leaderboard"):
            assert in_a_range.recorded_days(asset) == ["2025-12-29", "2025-12-30", "2025-12-31"]
        own = in_a_range.recorded("top10_leaderboard", "2025-12-30", "source_etag")
        assert own == content["events/2025_12_30_events.parquet"]


@pytest.mark.trial
def test_two_runs_of_one_day_at_once_end_as_one_of_them(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as alone:
        assert alone.run(ALL, DAY).success
        content = alone.content()
        alone.lake.delete(content)
    with pipeline_on(lake_resource) as one, pipeline_on(lake_resource) as other, ThreadPoolExecutor(2) as both:
        runs = [both.submit(pipeline.run, ALL, DAY) for pipeline in (one, other)]
        assert [run.result().success for run in runs] == [True, True]
        assert one.content() == content


def test_stats_of_a_day_that_is_not_landed_say_what_to_do(small: Pipeline) -> None:
    result = small.definitions.resolve_job_def("daily_stats_job").execute_in_process(
        partition_key=DAY,
        instance=small.instance,
        op_selection=["daily_player_stats"],
        raise_on_error=False,
    )
    assert "manifests/2025_12_30.json does not exist" in failure_of(result)
    assert "Materialize raw_events" in failure_of(result)
