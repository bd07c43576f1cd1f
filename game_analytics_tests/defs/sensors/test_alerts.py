"""What people are told by a webhook: runs that failed, and checks that failed or warn. Runs and messages are real."""

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
from game_analytics_tests.support.samples import at
from game_analytics_tests.support.webhooks import SECRET_PATH, webhook_server

DAY = "2025-12-30"


@pytest.fixture
def quiet(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """Nobody has played on the 30th."""
    with pipeline_on(lake_resource, given_log(ListedLog({0: [at(0, "2025-12-31 12:00")]}))) as pipeline:
        yield pipeline


LONG_AGO = '{"begun": 0, "since": 0, "runs": {}}'
"""The cursor of a sensor that has not ticked since."""


def evaluated(
    sensor: dg.SensorDefinition, pipeline: Pipeline, alerts: AlertsResource, cursor: str | None = LONG_AGO
) -> str | None:
    """The cursor that it leaves."""
    with dg.build_sensor_context(pipeline.instance, cursor=cursor, resources={"alerts": alerts}) as context:
        return sensor.evaluate_tick(context).cursor


def test_a_failed_run_is_told_with_asset_day_reason_and_link(lake_resource: LakeResource) -> None:
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
    """A fault of ours."""

    def open(self) -> EventLog:
        raise ZeroDivisionError("by nothing")


def test_a_fault_of_ours_is_told_by_its_cause(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, BrokenLog()) as pipeline, webhook_server() as hook:
        assert not pipeline.run("daily_stats_job", DAY).success
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url))
        (text,) = hook.texts
        assert text.startswith("raw_events of 2025-12-30 failed: ZeroDivisionError: by nothing\nhttp://")


def test_a_board_that_is_not_there_in_time_is_told(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        pipeline.definitions.resolve_job_def("freshness_job").execute_in_process(
            run_config=freshness_config(DAY),
            instance=pipeline.instance,
            tags={"game_analytics/day": DAY},
        )
        evaluated(alert_on_checks, pipeline, AlertsResource(webhook=hook.url))
        (text,) = hook.texts
        said = "top10_leaderboard: the check freshness failed: 2025-12-30: The board of 2025-12-30 is not published"
        assert text.startswith(said)


def test_a_failed_range_names_its_days(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        pipeline.run("leaderboard_job", days=("2025-12-29", "2025-12-30"))
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url))
        assert hook.texts[0].startswith("top10_leaderboard of 2025-12-29 to 2025-12-30 failed: 2 of 2 days failed")


def test_a_run_that_failed_before_any_step_is_told_as_well(quiet: Pipeline) -> None:
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


def test_a_run_in_which_all_is_well_is_not_told(lake_resource: LakeResource) -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00"), at(1, "2025-12-31 02:00")]})
    with pipeline_on(lake_resource, given_log(log)) as pipeline, webhook_server() as hook:
        assert pipeline.run("__ASSET_JOB", DAY).success
        evaluated(alert_on_checks, pipeline, AlertsResource(webhook=hook.url))
        assert hook.told == []


def test_without_a_webhook_nobody_is_told_and_nothing_fails(quiet: Pipeline) -> None:
    quiet.run("daily_stats_job", DAY)
    assert evaluated(alert_on_checks, quiet, AlertsResource()) != LONG_AGO


@pytest.mark.parametrize("answer", [403, 503])
def test_a_webhook_that_does_not_take_it_fails_nothing(quiet: Pipeline, answer: int) -> None:
    with webhook_server(answer) as hook:
        quiet.run("daily_stats_job", DAY)
        evaluated(alert_on_checks, quiet, AlertsResource(webhook=hook.url))
        assert hook.told


def test_a_webhook_that_is_down_is_a_line_in_the_tick_s_log(quiet: Pipeline, capfd: pytest.CaptureFixture[str]) -> None:
    quiet.run("daily_stats_job", DAY)
    evaluated(alert_on_checks, quiet, AlertsResource(webhook=closed_port() + SECRET_PATH))
    told = capfd.readouterr().err
    assert "An alert was not delivered, 127.0.0.1 can't be reached (ConnectionError). It said: raw_events" in told
    assert "hush" not in told


def test_each_failed_run_is_told_once_from_the_first_tick_on(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        alerts = AlertsResource(webhook=hook.url)
        assert not pipeline.run("leaderboard_job", DAY).success  # before anybody was listening
        cursor = evaluated(alert_on_failure, pipeline, alerts, cursor=None)
        for number in (1, 2):
            assert not pipeline.run("leaderboard_job", DAY).success
            cursor = evaluated(alert_on_failure, pipeline, alerts, cursor)
            cursor = evaluated(alert_on_failure, pipeline, alerts, cursor)
            assert len(hook.told) == number


def test_what_an_earlier_version_has_left_is_no_cursor(lake_resource: LakeResource) -> None:
    left = '{"__class__": "RunStatusSensorCursor", "record_id": 6, "record_timestamp": null, "update_timestamp": null}'
    with pipeline_on(lake_resource) as pipeline, webhook_server() as hook:
        cursor = evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url), left)
        assert not pipeline.run("leaderboard_job", DAY).success
        evaluated(alert_on_failure, pipeline, AlertsResource(webhook=hook.url), cursor)
        assert len(hook.told) == 1


def test_after_runs_were_deleted_the_next_one_is_told_all_the_same(kept: Pipeline) -> None:
    """SQLite gives the ids of their events again: Dagster's own run status sensors look for greater ones, in vain."""
    with webhook_server() as hook:
        alerts = AlertsResource(webhook=hook.url)
        failed = [kept.run("leaderboard_job", DAY) for _ in range(3)]
        cursor = evaluated(alert_on_failure, kept, alerts)
        assert len(hook.told) == 3
        for result in failed:
            kept.instance.delete_run(result.run_id)
        assert not kept.run("leaderboard_job", DAY).success
        evaluated(alert_on_failure, kept, alerts, cursor)
        assert len(hook.told) == 4
