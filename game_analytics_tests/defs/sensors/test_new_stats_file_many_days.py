"""More days than one tick requests: the oldest first, the rest at the next ticks; failed days don't delay others."""

from datetime import date, timedelta

import dagster as dg
import pytest

from game_analytics_tests.support.harness import Pipeline
from game_analytics_tests.support.ticks import make_board, noted, stats_file, tick


def days_from(first: date, count: int) -> list[str]:
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def content_of(day: str) -> bytes:
    return f"stats of {day}".encode()


def put_stats(pipeline: Pipeline, days: list[str]) -> None:
    """A file for each day, the newest written first."""
    for day in reversed(days):
        pipeline.put(stats_file(day), content_of(day))


def test_the_oldest_days_come_first_and_the_rest_at_the_next_tick(pipeline: Pipeline) -> None:
    days = days_from(date(2025, 11, 20), 27)
    put_stats(pipeline, days)
    first = tick(pipeline)
    assert first.days == days[:25]
    assert len({request.run_key for request in first.requests}) == 25

    for day in days[:25]:
        make_board(pipeline, day, content_of(day))

    assert tick(pipeline).days == days[25:]


def test_days_with_unfinished_runs_make_room_for_the_next_days(pipeline: Pipeline) -> None:
    days = days_from(date(2025, 11, 20), 27)
    put_stats(pipeline, days)
    for request in tick(pipeline).requests:
        noted(pipeline, request, dg.DagsterRunStatus.QUEUED)
    assert tick(pipeline).days == days[25:]


@pytest.mark.trial
def test_thirty_failed_days_don_t_delay_three_new_ones(kept: Pipeline) -> None:
    failed = days_from(date(2025, 9, 1), 30)
    put_stats(kept, failed)
    for _ in range(2):  # 25, then 5
        for asked in tick(kept).requests:
            noted(kept, asked, dg.DagsterRunStatus.FAILURE)
    assert tick(kept).skipped.startswith("30 boards are behind their stats files")

    new = days_from(date(2025, 12, 1), 3)
    put_stats(kept, new)

    assert tick(kept).days == new


@pytest.mark.trial
def test_hundreds_of_failed_days_don_t_delay_a_new_one(pipeline: Pipeline) -> None:
    """More than one query looks up."""
    failed = days_from(date(2024, 1, 1), 225)
    put_stats(pipeline, failed)
    while asked := pipeline.tick().run_requests:
        for each in asked:
            noted(pipeline, each, dg.DagsterRunStatus.FAILURE)
    put_stats(pipeline, ["2025-12-30"])
    assert tick(pipeline).days == ["2025-12-30"]
