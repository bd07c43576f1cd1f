"""Two days go through the whole deployment: produced to Kafka, landed by the schedule's job, published by the sensor,
while the daemon and the webserver are killed. Then boards, history and logs are where they should be."""

import os
import signal
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from typing import Any

import polars as pl
import psycopg2
import pytest

from game_analytics.defs.jobs import daily_stats_job, leaderboard_job
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import board_key, manifest_key
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.running_stack import RunningStack

LAUNCH = """
mutation Launch($job: String!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "game_analytics", repositoryName: "__repository__", jobName: $job}
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
RUNS = """
{ runsOrError(limit: 100) { ... on Runs { results {
  runId status jobName tags { key value } stats { ... on RunStatsSnapshot { materializations } }
} } } }
"""
BOARDS_WITHIN_SECONDS = 150


def launch(stack: RunningStack, day: date) -> str:
    """Launch the day's run as the schedule does, and return its id."""
    answer = stack.graphql(LAUNCH, job=daily_stats_job.name, tags=[{"key": "dagster/partition", "value": str(day)}])
    assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
    run_id: str = answer["launchRun"]["run"]["runId"]
    return run_id


def runs(stack: RunningStack) -> list[dict[str, Any]]:
    """All runs that the webserver lists, newest first."""
    found: list[dict[str, Any]] = stack.graphql(RUNS)["runsOrError"]["results"]
    return found


def board(lake: Lake, day: date) -> pl.DataFrame | None:
    return lake.read_parquet(board_key(day))


def kill(stack: RunningStack, words: str) -> int:
    process_id = stack.pid_of(words)
    os.kill(process_id, signal.SIGKILL)
    return process_id


def is_back(stack: RunningStack, words: str, killed: int) -> bool:
    try:
        return stack.pid_of(words) != killed
    except AssertionError:
        return False


@pytest.fixture(scope="module")
def published(stack: RunningStack, days: tuple[date, ...]) -> Mapping[date, str]:
    """Two days, with the id of the run that landed each: the daemon is killed before it starts the second run,
    and the webserver after both."""
    first, second, _ = days
    lake = stack.lake()
    run_ids = {first: launch(stack, first)}
    eventually(lambda: board(lake, first) is not None, "the first board", lambda: stack.terminal, BOARDS_WITHIN_SECONDS)

    killed = kill(stack, "dagster-daemon run")
    run_ids[second] = launch(stack, second)
    eventually(lambda: is_back(stack, "dagster-daemon run", killed), "the daemon is back", lambda: stack.terminal)
    eventually(
        lambda: board(lake, second) is not None, "the second board", lambda: stack.terminal, BOARDS_WITHIN_SECONDS
    )

    killed = kill(stack, "dagster-webserver")
    eventually(lambda: is_back(stack, "dagster-webserver", killed), "the webserver is back", lambda: stack.terminal)
    eventually(lambda: answers(stack), "the webserver answers again", lambda: stack.log_of("webserver"))
    return run_ids


def answers(stack: RunningStack) -> bool:
    try:
        stack.graphql("{ version }")
    except OSError:
        return False
    return True


def test_both_boards_are_those_of_the_days_that_were_produced(
    stack: RunningStack, published: Mapping[date, str]
) -> None:
    lake = stack.lake()
    for day in published:
        shown = board(lake, day)
        assert shown is not None
        assert shown.height == 10
        assert shown["rank"].to_list() == list(range(1, 11))
        stored = lake.get(manifest_key(day))
        assert stored is not None
        assert b'"window_closed":true' in stored.body.replace(b": ", b":")
    first, second = (board(lake, day) for day in published)
    assert first is not None
    assert second is not None
    assert not first.equals(second)


def test_the_kills_of_the_daemon_and_the_webserver_were_reported_in_a_line_each(
    stack: RunningStack, published: Mapping[date, str]
) -> None:
    assert published
    lines = [line for line in stack.terminal.splitlines() if "ended by itself" in line]
    assert lines == [
        "The daemon ended by itself with signal SIGKILL. It is started again.",
        "The webserver ended by itself with signal SIGKILL. It is started again.",
    ]


def test_the_history_is_complete_after_the_webserver_was_killed(
    stack: RunningStack, published: Mapping[date, str]
) -> None:
    known = runs(stack)
    landed = {run["runId"]: run["status"] for run in known}
    assert {run_id: landed.get(run_id) for run_id in published.values()} == dict.fromkeys(published.values(), "SUCCESS")
    by_sensor = [
        {tag["key"]: tag["value"] for tag in run["tags"]}["dagster/partition"]
        for run in known
        if run["jobName"] == leaderboard_job.name
    ]
    assert [by_sensor.count(str(day)) for day in published] == [1, 1]


def test_the_history_is_in_postgresql(stack: RunningStack, published: Mapping[date, str]) -> None:
    with closing(psycopg2.connect(stack.history)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run_id FROM runs WHERE status = 'SUCCESS'")
        succeeded = {run_id for (run_id,) in cursor.fetchall()}
        cursor.execute(
            "SELECT partition, count(*) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' GROUP BY 1"
        )
        materializations = dict(cursor.fetchall())
    assert set(published.values()) <= succeeded
    # The events, the stats and the board; a test that runs at 01:15 has the schedule's as well.
    assert min(materializations.get(str(day), 0) for day in published) >= 3


def test_what_the_runs_wrote_is_in_s3(stack: RunningStack, published: Mapping[date, str]) -> None:
    lake = stack.lake()
    for run_id in published.values():
        logs = [found.key for found in lake.listing(f"dagster/compute-logs/storage/{run_id}/") if found.size]
        assert logs
        output = "".join(stored.body.decode() for key in logs if (stored := lake.get(key)) is not None)
        assert "daily_player_stats" in output


def test_dagster_writes_nothing_among_the_datasets(stack: RunningStack, published: Mapping[date, str]) -> None:
    assert published
    tops = {found.key.split("/")[0] for found in stack.lake().listing("")}
    assert tops == {"raw", "quarantine", "events", "leaderboard", "dagster"}
