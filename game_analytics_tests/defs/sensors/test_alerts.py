"""Alerts about runs that failed and checks that failed or warn. Runs and messages are real."""

from collections.abc import Iterator

import dagster as dg
import pytest

from game_analytics.defs.freshness import freshness_config
from game_analytics.defs.resources import AlertsResource, EventLogResource, LakeResource
from game_analytics.defs.sensors.alert_on_checks import alert_on_checks
from game_analytics.defs.sensors.alert_on_failure import alert_on_failure
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.answering_s3 import closed_port
from game_analytics_tests.support.harness import Pipeline, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, death
from game_analytics_tests.support.webhooks import SECRET_PATH, webhook_server

DAY = "2025-12-30"


@pytest.fixture
def quiet(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """A log without events on the 30th."""
    with pipeline_on(lake_resource, given_log(ListedLog({0: [at(0, "2025-12-31 12:00")]}))) as pipeline:
        yield pipeline


LONG_AGO = '{"begun": 0, "since": 0, "runs": {}}'
"""The cursor of a sensor that last ticked at this time."""


def evaluated(
    sensor: dg.SensorDefinition, pipeline: Pipeline, alerts: AlertsResource, cursor: str | None = LONG_AGO
) -> str | None:
    """Tick once. Returns the new cursor."""
    with dg.build_sensor_context(pipeline.instance, cursor=cursor, resources={"alerts": alerts}) as context:
        return sensor.evaluate_tick(context).cursor


def test_a_failed_run_is_posted_with_asset_day_reason_and_link(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        result = pipeline.run("leaderboard_job", DAY)
        alerts = AlertsResource(webhook=hook.url, ui_url="https://dagster.example.org/")
        evaluated(alert_on_failure, pipeline, alerts)
        (text,) = hook.texts
        assert text == (
            f"top10_leaderboard of 2025-12-30 failed: s3://{lake_resource.bucket}/events/2025_12_30_events.parquet "
            "does not exist. Materialize daily_player_stats for 2025-12-30 first, or put the file there.\n"
            f"https://dagster.example.org/runs/{result.run_id}"
        )


class BrokenLog(EventLogResource):
    """A bug."""

    def open(self) -> EventLog:
        raise ZeroDivisionError("by nothing")


def test_a_bug_is_posted_with_its_root_cause(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, BrokenLog()) as pipeline, webhook_server() as hook:
        assert not pipeline.run("daily_stats_job", DAY).success
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url))
        (text,) = hook.texts
        assert text.startswith("raw_events of 2025-12-30 failed: ZeroDivisionError: by nothing\nhttp://")


def test_a_board_that_is_not_published_in_time_is_posted(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        pipeline.definitions.resolve_job_def("freshness_job").execute_in_process(
            run_config=freshness_config(DAY),
            instance=pipeline.instance,
            tags={"game_analytics/day": DAY},
        )
        evaluated(alert_on_checks, pipeline, AlertsResource(webhook=hook.url))
        (text,) = hook.texts
        expected = "top10_leaderboard: the check freshness failed: 2025-12-30: The board of 2025-12-30 is not published"
        assert text.startswith(expected)


def test_a_failed_range_names_its_days(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        pipeline.run("leaderboard_job", days=("2025-12-29", "2025-12-30"))
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url))
        assert hook.texts[0].startswith("top10_leaderboard of 2025-12-29 to 2025-12-30 failed: 2 of 2 days failed")


def test_a_run_that_failed_before_any_step_is_posted(quiet: Pipeline) -> None:
    run = quiet.instance.add_run(
        dg.DagsterRun("daily_stats_job", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": DAY})
    )
    quiet.instance.report_run_failed(run, "The run's process ended by signal 9")
    with webhook_server() as hook:
        evaluated(alert_on_failure, quiet, AlertsResource(webhook=hook.url))
        assert hook.texts[0].startswith("daily_stats_job of 2025-12-30 failed: The run's process ended by signal 9\n")


def test_the_checks_that_warn_are_one_message(quiet: Pipeline) -> None:
    with webhook_server() as hook:
        result = quiet.run("__ASSET_JOB", DAY)
        evaluated(alert_on_checks, quiet, AlertsResource(webhook=hook.url))
        (text,) = hook.texts
        assert text == (
            "raw_events: the check has_events warns: 2025-12-30: no event was landed\n"
            "top10_leaderboard: the check somebody_is_ranked warns: 2025-12-30: the board is empty\n"
            f"http://127.0.0.1:3000/runs/{result.run_id}"
        )


def test_a_run_without_findings_is_not_posted(lake_resource: LakeResource) -> None:
    messages = [at(0, "2025-12-30 12:00"), at(1, "2025-12-30 12:01", death()), at(2, "2025-12-31 02:00")]
    log = ListedLog({0: messages})
    with pipeline_on(lake_resource, given_log(log)) as pipeline, webhook_server() as hook:
        assert pipeline.run("__ASSET_JOB", DAY).success
        evaluated(alert_on_checks, pipeline, AlertsResource(webhook=hook.url))
        assert hook.received == []


def test_without_a_webhook_nothing_is_posted_and_nothing_fails(quiet: Pipeline) -> None:
    quiet.run("daily_stats_job", DAY)
    assert evaluated(alert_on_checks, quiet, AlertsResource()) != LONG_AGO


@pytest.mark.parametrize("answer", [403, 503])
def test_a_webhook_that_refuses_fails_nothing(quiet: Pipeline, answer: int) -> None:
    with webhook_server(answer) as hook:
        quiet.run("daily_stats_job", DAY)
        evaluated(alert_on_checks, quiet, AlertsResource(webhook=hook.url))
        assert hook.received


def test_a_webhook_that_is_down_is_logged_in_the_tick(quiet: Pipeline, capfd: pytest.CaptureFixture[str]) -> None:
    quiet.run("daily_stats_job", DAY)
    evaluated(alert_on_checks, quiet, AlertsResource(webhook=closed_port() + SECRET_PATH))
    log = capfd.readouterr().err
    assert "An alert was not delivered, 127.0.0.1 can't be reached (ConnectionError). It said: raw_events" in log
    assert "hush" not in log


def test_each_failed_run_since_the_first_tick_is_posted_once(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        alerts = AlertsResource(webhook=hook.url)
        assert not pipeline.run("leaderboard_job", DAY).success  # before the first tick
        cursor = evaluated(alert_on_failure, pipeline, alerts, cursor=None)
        for number in (1, 2):
            assert not pipeline.run("leaderboard_job", DAY).success
            cursor = evaluated(alert_on_failure, pipeline, alerts, cursor)
            cursor = evaluated(alert_on_failure, pipeline, alerts, cursor)
            assert len(hook.received) == number


def test_the_cursor_of_an_earlier_version_is_ignored(lake_resource: LakeResource) -> None:
    left = '{"__class__": "RunStatusSensorCursor", "record_id": 6, "record_timestamp": null, "update_timestamp": null}'
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        cursor = evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url), left)
        assert not pipeline.run("leaderboard_job", DAY).success
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url), cursor)
        assert len(hook.received) == 1


@pytest.mark.trial
def test_after_a_deletion_of_runs_the_next_failure_is_still_posted(kept: Pipeline) -> None:
    """SQLite reuses the ids of the deleted events, so Dagster's own run status sensors, which look for greater ids,
    would miss the run."""
    with webhook_server() as hook:
        alerts = AlertsResource(webhook=hook.url)
        failed = [kept.run("leaderboard_job", DAY) for _ in range(3)]
        cursor = evaluated(alert_on_failure, kept, alerts)
        assert len(hook.received) == 3
        for result in failed:
            kept.instance.delete_run(result.run_id)
        assert not kept.run("leaderboard_job", DAY).success
        evaluated(alert_on_failure, kept, alerts, cursor)
        assert len(hook.received) == 4
