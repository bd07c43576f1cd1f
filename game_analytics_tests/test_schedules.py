"""When the schedule ticks and what it asks for then: after downtime, after a failure, after a day landed too early."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.resources.configured import EventLogResource, LakeResource, PipelineSettings
from game_analytics_tests.harness import Pipeline, days_ago, given_log, small_simulation
from game_analytics_tests.listed_log import ListedLog

NOWHERE = LakeResource(bucket="nowhere", s3=S3Resource())
"""The schedule asks the instance only."""


@pytest.fixture(scope="module")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a persistent instance without history: to be copied, since making one takes a second."""
    home = tmp_path_factory.mktemp("blank_home")
    with dg.DagsterInstance.local_temp(str(home)):
        return home


@pytest.fixture
def instance(blank_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A persistent instance without history: a schedule can't be evaluated on one in memory."""
    home = shutil.copytree(blank_home, tmp_path / "home")
    with dg.DagsterInstance.local_temp(str(home)) as kept:
        yield kept


@cache
def with_lateness(minutes: int) -> dg.RepositoryDefinition:
    settings = PipelineSettings(lateness_minutes=minutes)
    return definitions_on(small_simulation(), NOWHERE, settings).get_repository_def()


def quiet_days() -> EventLogResource:
    """Nobody played: each day lands and is counted in no time."""
    return given_log(ListedLog({0: []}))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def tick(instance: dg.DagsterInstance, when: datetime, lateness: int = 60) -> tuple[list[dg.RunRequest], str]:
    """What the schedule asks for, or why it asks for nothing. Called as a function and evaluated as the daemon does,
    it must say the same."""
    repository = with_lateness(lateness)
    schedule = repository.get_schedule_def("daily_stats")

    def context() -> dg.ScheduleEvaluationContext:
        return dg.build_schedule_context(instance, scheduled_execution_time=when, repository_def=repository)

    with context() as by_call, context() as by_daemon:
        called = schedule(by_call)
        evaluated = schedule.evaluate_tick(by_daemon)
    requests = list(evaluated.run_requests or [])
    if isinstance(called, dg.SkipReason):
        assert (called.skip_message, []) == (evaluated.skip_message, requests)
        return [], str(called.skip_message)
    assert isinstance(called, list)
    assert evaluated.skip_message is None
    assert [(each.partition_key, each.run_key) for each in called] == [
        (each.partition_key, each.run_key) for each in requests
    ]
    assert [each.tags["dagster/partition"] for each in requests] == [each.partition_key for each in requests]
    return requests, ""


def asked_for(instance: dg.DagsterInstance, when: datetime, lateness: int = 60) -> list[str]:
    return [str(request.partition_key) for request in tick(instance, when, lateness)[0]]


def note_stats(instance: dg.DagsterInstance, *days: str, window_closed: bool = True) -> None:
    """Record stats of these days, without any work done."""
    for day in days:
        instance.report_runless_asset_event(
            dg.AssetMaterialization("daily_player_stats", partition=day, metadata={"window_closed": window_closed})
        )


def december(first: int, last: int) -> list[str]:
    return [f"2025-12-{day:02}" for day in range(first, last + 1)]


@pytest.mark.parametrize(
    ("lateness", "cron"),
    [
        (0, "15 1 * * *"),
        (60, "15 1 * * *"),  # the window closes at 01:00
        (61, "16 1 * * *"),
        (75, "30 1 * * *"),
        (200, "35 3 * * *"),
        (1424, "59 23 * * *"),
        (1440, "15 0 * * *"),  # closes a day later, at midnight
        (1600, "55 2 * * *"),  # closes a day later, at 02:40
    ],
)
def test_it_ticks_a_quarter_past_one_or_a_quarter_after_the_window_closed(lateness: int, cron: str) -> None:
    schedule = with_lateness(lateness).get_schedule_def("daily_stats")
    assert schedule.cron_schedule == cron
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize(
    ("lateness", "when", "newest"),
    [
        (0, "2025-12-31T01:15", "2025-12-30"),
        (60, "2025-12-31T01:15", "2025-12-30"),
        (75, "2025-12-31T01:30", "2025-12-30"),
        (200, "2025-12-31T03:35", "2025-12-30"),
        (1424, "2025-12-31T23:59", "2025-12-30"),
        (1440, "2026-01-01T00:15", "2025-12-30"),
        (1600, "2026-01-01T02:55", "2025-12-30"),
    ],
)
def test_each_tick_asks_for_the_day_whose_window_closed_last(
    instance: dg.DagsterInstance, lateness: int, when: str, newest: str
) -> None:
    note_stats(instance, *december(24, 29))
    [request], _ = tick(instance, at(when), lateness)
    assert request.partition_key == newest
    assert request.tags["dagster/schedule_name"] == "daily_stats"


def test_it_lands_and_counts_and_leaves_the_board_to_the_sensor() -> None:
    schedule = with_lateness(60).get_schedule_def("daily_stats")
    assert schedule.job_name == "daily_stats_job"
    job = with_lateness(60).get_job("daily_stats_job")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {
        "raw_events",
        "daily_player_stats",
    }


def test_after_five_days_of_downtime_all_five_are_asked_for(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(21, 24))
    requests, _ = tick(instance, at("2025-12-30T01:15"))
    assert [request.partition_key for request in requests] == december(25, 29)
    assert len({request.run_key for request in requests}) == 5


def test_after_ten_days_of_downtime_the_last_seven_are_asked_for(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(18, 19))
    requests, _ = tick(instance, at("2025-12-30T01:15"))
    assert [request.partition_key for request in requests] == december(23, 29)
    assert len({request.run_key for request in requests}) == 7


def test_a_gap_between_days_that_are_done_is_asked_for(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(23, 25), *december(27, 29))
    assert asked_for(instance, at("2025-12-30T01:15")) == ["2025-12-26"]


def test_a_tick_that_comes_late_asks_for_the_same(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(23, 28))
    assert asked_for(instance, at("2025-12-30T23:59")) == ["2025-12-29"]


def test_nothing_owed_is_said_in_the_tick(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(23, 29))
    requests, skipped = tick(instance, at("2025-12-30T01:15"))
    assert requests == []
    assert skipped == "The last 7 days are landed and counted, each from a closed window."


def test_a_day_landed_too_early_is_asked_for_after_its_window_closed_and_not_before(
    instance: dg.DagsterInstance,
) -> None:
    note_stats(instance, *december(23, 28))
    note_stats(instance, "2025-12-29", window_closed=False)
    assert asked_for(instance, at("2025-12-30T03:19"), lateness=200) == []
    assert asked_for(instance, at("2025-12-30T03:20"), lateness=200) == ["2025-12-29"]
    assert asked_for(instance, at("2025-12-30T03:35"), lateness=200) == ["2025-12-29"]
    note_stats(instance, "2025-12-29")
    assert asked_for(instance, at("2025-12-31T03:35"), lateness=200) == ["2025-12-30"]


def test_a_day_without_stats_whose_window_is_not_closed_yet_waits(instance: dg.DagsterInstance) -> None:
    """The newest partition where events may be a day and more late."""
    note_stats(instance, *december(22, 27))
    assert asked_for(instance, at("2025-12-30T02:55"), lateness=1600) == ["2025-12-28"]
    assert asked_for(instance, at("2025-12-31T02:39"), lateness=1600) == ["2025-12-28"]
    assert asked_for(instance, at("2025-12-31T02:40"), lateness=1600) == ["2025-12-28", "2025-12-29"]


def test_stats_that_do_not_tell_whether_their_window_was_closed_are_made_again(instance: dg.DagsterInstance) -> None:
    """As when somebody reports a materialization in the UI."""
    note_stats(instance, *december(23, 28))
    instance.report_runless_asset_event(dg.AssetMaterialization("daily_player_stats", partition="2025-12-29"))
    assert asked_for(instance, at("2025-12-30T01:15")) == ["2025-12-29"]


def test_a_day_that_was_landed_but_not_counted_is_asked_for(instance: dg.DagsterInstance) -> None:
    note_stats(instance, *december(23, 28))
    instance.report_runless_asset_event(
        dg.AssetMaterialization("raw_events", partition="2025-12-29", metadata={"window_closed": True})
    )
    assert asked_for(instance, at("2025-12-30T01:15")) == ["2025-12-29"]


def test_a_day_still_owed_a_day_later_gets_a_new_run_key(instance: dg.DagsterInstance) -> None:
    """A run key is spent by a run that failed, so the same one would ask for nothing."""
    note_stats(instance, *december(23, 28))
    first, _ = tick(instance, at("2025-12-30T01:15"))
    second, _ = tick(instance, at("2025-12-31T01:15"))
    assert [request.partition_key for request in first] == ["2025-12-29"]
    assert [request.partition_key for request in second] == ["2025-12-29", "2025-12-30"]
    assert not {request.run_key for request in first} & {request.run_key for request in second}


def test_the_same_tick_evaluated_twice_asks_with_the_same_run_keys(instance: dg.DagsterInstance) -> None:
    """As when the daemon was killed in the middle of one."""
    assert tick(instance, at("2025-12-30T01:15")) == tick(instance, at("2025-12-30T01:15"))


def test_before_and_after_the_first_partition_was_over(instance: dg.DagsterInstance) -> None:
    assert asked_for(instance, at("2024-01-01T01:15")) == []
    assert asked_for(instance, at("2024-01-02T01:15")) == ["2024-01-01"]
    assert asked_for(instance, at("2024-01-04T01:15")) == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_what_real_runs_recorded_counts_one_by_one_and_in_a_range(
    instance: dg.DagsterInstance, lake_resource: LakeResource
) -> None:
    pipeline = Pipeline(definitions_on(quiet_days(), lake_resource, PipelineSettings()), lake_resource, instance)
    assert pipeline.run("daily_stats_job", days=("2025-12-25", "2025-12-27")).success
    assert pipeline.run("daily_stats_job", "2025-12-29").success
    assert asked_for(instance, at("2025-12-30T01:15")) == ["2025-12-23", "2025-12-24", "2025-12-28"]


def test_a_real_landing_before_its_window_closed_is_asked_for_again_once_it_is(
    instance: dg.DagsterInstance, lake_resource: LakeResource
) -> None:
    """Events may be two days late here, so yesterday's window is open now, and until two days after its end."""
    two_days = 2 * 24 * 60
    yesterday = days_ago(1)
    midnight = at(yesterday)
    pipeline = Pipeline(
        definitions_on(quiet_days(), lake_resource, PipelineSettings(lateness_minutes=two_days)),
        lake_resource,
        instance,
    )
    assert pipeline.run("daily_stats_job", yesterday).success
    assert pipeline.recorded("daily_player_stats", yesterday, "window_closed") is False
    note_stats(instance, *((midnight - timedelta(days=number)).date().isoformat() for number in range(1, 7)))
    closes = midnight + timedelta(days=3)
    assert asked_for(instance, closes - timedelta(minutes=1), two_days) == []
    assert asked_for(instance, closes, two_days) == [yesterday]
