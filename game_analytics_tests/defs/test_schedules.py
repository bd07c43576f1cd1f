"""When the schedule ticks and what it requests: after downtime, failures and days landed too early."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.resources import EventLogResource, LakeResource, PipelineSettings
from game_analytics.errors import Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.answering_s3 import closed_port
from game_analytics_tests.support.harness import Pipeline, days_ago, given_log, small_simulation
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.landed import (
    TOPIC,
    manifest_of,
    note_stats,
    old_manifest_file,
    parquet_with,
    put_counted,
    put_landing,
    stats_file,
    stats_of,
)
from game_analytics_tests.support.listed_log import ListedLog

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty persistent instance. Tests copy it, since creating one takes a second."""
    home = tmp_path_factory.mktemp("blank_home")
    with dg.DagsterInstance.local_temp(str(home)):
        return home


@pytest.fixture
def instance(blank_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An empty persistent instance: a schedule can't be evaluated on one in memory."""
    home = shutil.copytree(blank_home, tmp_path / "home")
    with dg.DagsterInstance.local_temp(str(home)) as kept:
        yield kept


@cache
def with_lateness(minutes: int) -> dg.RepositoryDefinition:
    nowhere = LakeResource(bucket="nowhere", s3=S3Resource())
    settings = PipelineSettings(lateness_minutes=minutes)
    return definitions_on(small_simulation(), nowhere, settings).get_repository_def()


def quiet_days(name: str = TOPIC) -> EventLogResource:
    """An empty log, of which each day is landed and counted quickly."""
    return given_log(ListedLog({0: []}, name))


@dataclass(frozen=True)
class Ground:
    """What the schedule reads."""

    instance: dg.DagsterInstance
    lake_resource: LakeResource
    event_log: EventLogResource = field(default_factory=quiet_days)

    @cached_property
    def lake(self) -> Lake:
        return self.lake_resource.open()


@pytest.fixture
def ground(instance: dg.DagsterInstance, lake_resource: LakeResource) -> Ground:
    return Ground(instance, lake_resource)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def tick(ground: Ground, when: datetime, lateness: int = 60) -> tuple[list[dg.RunRequest], str]:
    """The schedule's requests or skip reason. Calling it and evaluating it as the daemon does must agree."""
    repository = with_lateness(lateness)
    schedule = repository.get_schedule_def("daily_stats")

    def context() -> dg.ScheduleEvaluationContext:
        return dg.build_schedule_context(
            ground.instance,
            scheduled_execution_time=when,
            repository_def=repository,
            resources={"lake": ground.lake_resource, "event_log": ground.event_log},
        )

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
    assert {each.tags["game_analytics/lake"] for each in requests} == {ground.lake.place}
    return requests, ""


def requested(ground: Ground, when: datetime, lateness: int = 60) -> list[str]:
    return [str(request.partition_key) for request in tick(ground, when, lateness)[0]]


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
def test_it_ticks_at_a_quarter_past_one_or_a_quarter_of_an_hour_after_the_window_closes(
    lateness: int, cron: str
) -> None:
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
def test_each_tick_requests_the_day_whose_window_closed_last(
    ground: Ground, lateness: int, when: str, newest: str
) -> None:
    put_counted(ground.lake, *december(24, 29))
    [request], _ = tick(ground, at(when), lateness)
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


def test_after_five_days_of_downtime_all_five_are_requested(ground: Ground) -> None:
    put_counted(ground.lake, *december(21, 24))
    requests, _ = tick(ground, at("2025-12-30T01:15"))
    assert [request.partition_key for request in requests] == december(25, 29)
    assert len({request.run_key for request in requests}) == 5


def test_after_ten_days_of_downtime_the_last_seven_are_requested(ground: Ground) -> None:
    put_counted(ground.lake, *december(18, 19))
    requests, _ = tick(ground, at("2025-12-30T01:15"))
    assert [request.partition_key for request in requests] == december(23, 29)
    assert len({request.run_key for request in requests}) == 7


def test_a_missing_day_between_finished_ones_is_requested(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 25), *december(27, 29))
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-26"]


def test_a_late_tick_requests_the_same_days(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 28))
    assert requested(ground, at("2025-12-30T23:59")) == ["2025-12-29"]


def test_a_tick_with_no_day_due_says_so(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 29))
    requests, skipped = tick(ground, at("2025-12-30T01:15"))
    assert requests == []
    assert skipped == "The last 7 days are landed and counted, each from a closed window."


def test_an_unreadable_manifest_does_not_hold_up_other_days(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 27))
    ground.lake.put("raw/manifests/2025_12_28.json", b"damaged")
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]


@pytest.mark.trial
def test_a_day_landed_too_early_is_requested_once_its_window_has_closed(
    ground: Ground,
) -> None:
    put_counted(ground.lake, *december(23, 28))
    put_counted(ground.lake, "2025-12-29", closed=False)
    assert requested(ground, at("2025-12-30T03:19"), lateness=200) == []
    assert requested(ground, at("2025-12-30T03:20"), lateness=200) == ["2025-12-29"]
    assert requested(ground, at("2025-12-30T03:35"), lateness=200) == ["2025-12-29"]
    put_counted(ground.lake, "2025-12-29")
    assert requested(ground, at("2025-12-31T03:35"), lateness=200) == ["2025-12-30"]


@pytest.mark.trial
def test_a_day_without_stats_waits_until_its_window_has_closed(ground: Ground) -> None:
    """The newest partition if events may be more than a day late."""
    put_counted(ground.lake, *december(22, 27))
    assert requested(ground, at("2025-12-30T02:55"), lateness=1600) == ["2025-12-28"]
    assert requested(ground, at("2025-12-31T02:39"), lateness=1600) == ["2025-12-28"]
    assert requested(ground, at("2025-12-31T02:40"), lateness=1600) == ["2025-12-28", "2025-12-29"]


def test_a_day_that_was_landed_but_not_counted_is_requested(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 28))
    put_landing(ground.lake, "2025-12-29")
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]


def test_a_day_that_was_landed_again_but_not_counted_again_is_requested(ground: Ground) -> None:
    """The run was killed between committing the manifest and recording it."""
    put_counted(ground.lake, *december(23, 29))
    put_landing(ground.lake, "2025-12-27", manifest_of("2025-12-27", read=1, landed=1))
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-27"]


@pytest.mark.trial
def test_the_history_of_another_bucket_does_not_count(ground: Ground, client: "S3Client", s3: S3Endpoint) -> None:
    """`GAME_ANALYTICS_BUCKET` was changed, or `.local/s3` was removed."""
    put_counted(ground.lake, *december(23, 29))
    for day in december(23, 29):
        manifest = manifest_of(day)
        note_stats(ground.instance, ground.lake, day, manifest, stats_of(manifest))
    assert requested(ground, at("2025-12-30T01:15")) == []
    client.create_bucket(Bucket=f"{ground.lake.bucket}-2")
    other = replace(ground, lake_resource=lake_at(s3, f"{ground.lake.bucket}-2"))
    assert requested(other, at("2025-12-30T01:15")) == december(23, 29)


def test_with_an_empty_history_existing_files_are_not_requested(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 29))
    assert tick(ground, at("2025-12-30T01:15"))[1].startswith("The last 7 days are landed and counted")


def test_files_of_earlier_versions_are_understood(ground: Ground) -> None:
    """The manifest at its old key, with ETags instead of hashes."""
    put_counted(ground.lake, *december(23, 28))
    manifest = manifest_of("2025-12-29")
    etag = ground.lake.put(old_manifest_file("2025-12-29"), manifest)
    ground.lake.put(stats_file("2025-12-29"), parquet_with({"game_analytics.manifest_etag": etag}))
    assert requested(ground, at("2025-12-30T01:15")) == []
    ground.lake.put(old_manifest_file("2025-12-29"), manifest + b" ")
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]


@pytest.mark.trial
def test_foreign_stats_are_enough_only_for_a_landed_day(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 28))
    ground.lake.put(stats_file("2025-12-29"), stats_of(None))
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]
    put_landing(ground.lake, "2025-12-29", manifest_of("2025-12-29", closed=False))
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]
    put_landing(ground.lake, "2025-12-29")
    assert requested(ground, at("2025-12-30T01:15")) == []


def test_a_landing_that_would_be_refused_is_not_requested(ground: Ground) -> None:
    """Another topic, or the same name on another cluster: the committed landing stays."""
    put_counted(ground.lake, *december(23, 27))
    put_landing(ground.lake, "2025-12-28", manifest_of("2025-12-28", closed=False, log="the topic of before"))
    moved = replace(ground, event_log=quiet_days())
    assert requested(moved, at("2025-12-30T01:15")) == ["2025-12-29"]
    put_counted(ground.lake, "2025-12-29")
    _, skipped = tick(moved, at("2025-12-30T01:15"))
    assert skipped.startswith("2025-12-28 is not requested: it was landed from another log, the topic of before")
    assert "allow_truncated" in skipped


class NoAnswer(EventLogResource):
    """A cluster that does not answer."""

    def open(self) -> EventLog:
        raise Unavailable("The brokers do not answer. Start them.")


def test_if_the_log_does_not_answer_the_run_is_requested_and_reports_it(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 28))
    put_landing(ground.lake, "2025-12-29", manifest_of("2025-12-29", closed=False))
    assert requested(replace(ground, event_log=NoAnswer()), at("2025-12-30T01:15")) == ["2025-12-29"]


class NotToBeAsked(EventLogResource):
    """A log that must not be opened."""

    def open(self) -> EventLog:
        raise AssertionError("it was opened")


def test_the_log_is_opened_only_to_compare_a_committed_landing(ground: Ground) -> None:
    put_counted(ground.lake, *december(23, 28))
    assert requested(replace(ground, event_log=NotToBeAsked()), at("2025-12-30T01:15")) == ["2025-12-29"]


@pytest.mark.parametrize(
    ("job", "asked"),
    [("daily_stats_job", []), ("stats_job", ["2025-12-29"]), ("leaderboard_job", ["2025-12-29"])],
)
def test_a_day_that_an_unfinished_run_lands_is_not_requested(ground: Ground, job: str, asked: list[str]) -> None:
    put_counted(ground.lake, *december(23, 28))
    span = {"dagster/asset_partition_range_start": "2025-12-29", "dagster/asset_partition_range_end": "2025-12-29"}
    ground.instance.add_run(dg.DagsterRun(job, status=dg.DagsterRunStatus.STARTED, tags=span))
    assert requested(ground, at("2025-12-30T01:15")) == asked


def test_an_unfinished_run_of_another_lake_does_not_count(ground: Ground) -> None:
    """Staging and production share an instance and tick in the same second."""
    put_counted(ground.lake, *december(23, 28))
    tags = {"dagster/partition": "2025-12-29", "game_analytics/lake": "s3://staging at https://s3.example.org"}
    ground.instance.add_run(dg.DagsterRun("daily_stats_job", status=dg.DagsterRunStatus.STARTED, tags=tags))
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-29"]


def test_a_tick_fails_naming_the_s3_that_does_not_answer(ground: Ground) -> None:
    nobody = S3Endpoint(closed_port(), "key", "secret")
    with pytest.raises(Unavailable, match="does not answer"):
        tick(replace(ground, lake_resource=lake_at(nobody, "game-analytics")), at("2025-12-30T01:15"))


@pytest.mark.trial
def test_a_day_still_due_a_day_later_gets_a_new_run_key(ground: Ground) -> None:
    """A failed run uses up its run key, so a request with the same key would be ignored."""
    put_counted(ground.lake, *december(23, 28))
    first, _ = tick(ground, at("2025-12-30T01:15"))
    second, _ = tick(ground, at("2025-12-31T01:15"))
    assert [request.partition_key for request in first] == ["2025-12-29"]
    assert [request.partition_key for request in second] == ["2025-12-29", "2025-12-30"]
    assert not {request.run_key for request in first} & {request.run_key for request in second}


def test_the_same_tick_evaluated_twice_uses_the_same_run_keys(ground: Ground) -> None:
    """As after the daemon was killed during a tick."""
    assert tick(ground, at("2025-12-30T01:15")) == tick(ground, at("2025-12-30T01:15"))


def test_before_and_after_the_first_partition_was_over(ground: Ground) -> None:
    assert requested(ground, at("2024-01-01T01:15")) == []
    assert requested(ground, at("2024-01-02T01:15")) == ["2024-01-01"]
    assert requested(ground, at("2024-01-04T01:15")) == ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.mark.trial
def test_days_done_by_real_runs_singly_or_in_a_range_are_not_due(
    ground: Ground,
) -> None:
    pipeline = Pipeline(
        definitions_on(quiet_days(), ground.lake_resource, PipelineSettings()), ground.lake_resource, ground.instance
    )
    assert pipeline.run("daily_stats_job", days=("2025-12-25", "2025-12-27")).success
    assert pipeline.run("daily_stats_job", "2025-12-29").success
    assert requested(ground, at("2025-12-30T01:15")) == ["2025-12-23", "2025-12-24", "2025-12-28"]


@pytest.mark.trial
def test_a_real_landing_before_its_window_closed_is_requested_again_after_that(
    ground: Ground,
) -> None:
    """Events may be two days late here, so yesterday's window is still open."""
    two_days = 2 * 24 * 60
    yesterday = days_ago(1)
    midnight = at(yesterday)
    pipeline = Pipeline(
        definitions_on(quiet_days(), ground.lake_resource, PipelineSettings(lateness_minutes=two_days)),
        ground.lake_resource,
        ground.instance,
    )
    assert pipeline.run("daily_stats_job", yesterday).success
    assert pipeline.recorded("daily_player_stats", yesterday, "window_closed") is False
    put_counted(ground.lake, *((midnight - timedelta(days=number)).date().isoformat() for number in range(1, 7)))
    closes = midnight + timedelta(days=3)
    assert requested(ground, closes - timedelta(minutes=1), two_days) == []
    assert requested(ground, closes, two_days) == [yesterday]
