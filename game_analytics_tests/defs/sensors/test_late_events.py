"""The sensor `late_events`: which landings it requests, and when it only warns."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import dagster as dg
import pytest

from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.resources import AlertsResource, EventLogResource, LakeResource, PipelineSettings
from game_analytics.defs.sensors.late_events import late_events
from game_analytics.lake.committed import read_landing
from game_analytics.lake.names import manifest_key
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics_tests.support.harness import Pipeline, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import kill
from game_analytics_tests.support.webhooks import webhook_server

NOTHING_MISSED_KEY = dg.AssetCheckKey(dg.AssetKey("raw_events"), "nothing_missed")

TODAY = datetime.now(UTC).date()


def day_of(days_ago: int) -> str:
    return (TODAY - timedelta(days=days_ago)).isoformat()


def noon(days_ago: int) -> datetime:
    return datetime.combine(TODAY - timedelta(days=days_ago), time(12), UTC)


def late_kill(offset: int, *, delivered: int, happened: int) -> Message:
    """A kill that happened and was delivered this many days ago."""
    return Message(offset, noon(delivered), kill("late", ts=noon(happened).isoformat()))


def with_one_late_kill() -> ListedLog:
    """One kill at noon of each day, and one of four days ago that came three days ago."""
    return ListedLog(
        {
            0: [
                Message(0, noon(5), kill()),
                Message(1, noon(4), kill()),
                late_kill(2, delivered=3, happened=4),
                Message(3, noon(2), kill()),
            ]
        }
    )


class Counted(EventLogResource):
    """A log that counts how often it is opened."""

    def open(self) -> ListedLog:
        OPENED.append(1)
        return with_one_late_kill()


OPENED: list[int] = []


@contextmanager
def landed(
    lake_resource: LakeResource, log: ListedLog | None = None, *, days_ago: tuple[int, ...] = (5, 4, 3, 2)
) -> Iterator[Pipeline]:
    """A pipeline with these days landed and counted, without runs: the sensor reads that from the lake."""
    log = log or with_one_late_kill()
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        for day in map(date.fromisoformat, map(day_of, days_ago)):
            land_day(log, pipeline.lake, day, LandingOptions(timedelta(hours=1)), clock=lambda: datetime.now(UTC))
            publish_stats(pipeline.lake, day)
        yield pipeline


def tick(
    pipeline: Pipeline,
    log: EventLogResource | None = None,
    *,
    cursor: str | None = None,
    alerts: AlertsResource | None = None,
) -> Any:
    """One evaluation, with the resources that the daemon would give it."""
    resources = pipeline.definitions.resources or {}
    with dg.build_sensor_context(
        instance=pipeline.instance,
        cursor=cursor,
        repository_def=pipeline.definitions.get_repository_def(),
        resources={
            "event_log": log or resources["event_log"],
            "lake": pipeline.lake_resource,
            "settings": PipelineSettings(),
            "alerts": alerts or AlertsResource(),
        },
    ) as context:
        return late_events.evaluate_tick(context)


def run_requested(pipeline: Pipeline, log: EventLogResource | None = None) -> list[str]:
    """Run the requests as the daemon would. Returns their days, in order."""
    requests = tick(pipeline, log).run_requests or []
    for request in requests:
        config = {"raw_events": request.run_config["ops"]["raw_events"]["config"]}
        tags = {**request.tags, "dagster/run_key": request.run_key}
        assert pipeline.run(daily_stats_job.name, request.partition_key, config=config, tags=tags).success
    return [str(request.partition_key) for request in requests]


def test_a_day_with_a_late_event_is_requested_up_to_the_end_of_the_landing_that_found_it(
    lake_resource: LakeResource,
) -> None:
    with landed(lake_resource) as pipeline:
        (request,) = tick(pipeline).run_requests
        assert request.partition_key == day_of(4)
        assert request.run_config == {"ops": {"raw_events": {"config": {"up_to_landing_of": day_of(3)}}}}
        assert request.tags["game_analytics/late_events_found_by"] == day_of(3)


@pytest.mark.trial
def test_the_late_event_is_then_counted_and_the_board_follows(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        assert pipeline.run_requested() == dict.fromkeys(map(day_of, (5, 4, 3, 2)), True)
        assert run_requested(pipeline) == [day_of(4)]
        assert pipeline.run_requested() == {day_of(4): True}
        assert pipeline.board(day_of(4)) == [(1, "ann", 1, 0, 1.0), (2, "late", 1, 0, 1.0)]


def test_only_the_day_that_is_affected_is_rebuilt(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        before = pipeline.content()
        run_requested(pipeline)
        changed = {key for key, etag in pipeline.content().items() if before.get(key) != etag}
        token = day_of(4).replace("-", "_")
        assert changed
        assert all(token in key for key in changed)


def test_it_is_requested_once(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        assert run_requested(pipeline) == [day_of(4)]
        assert tick(pipeline).skip_message == (
            "No landing of the last 7 days has found events that another of these days lacks."
        )


def test_a_run_that_is_queued_or_has_failed_is_not_requested_again(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        (request,) = tick(pipeline).run_requests
        failed = dg.DagsterRun(
            daily_stats_job.name,
            status=dg.DagsterRunStatus.FAILURE,
            tags={**request.tags, "dagster/run_key": request.run_key},
        )
        pipeline.instance.add_run(failed)
        again = tick(pipeline)
        assert again.run_requests == []
        assert f"1 events of {day_of(4)}, found by the landing of {day_of(3)}" in again.skip_message


@pytest.mark.trial
def test_a_landing_undone_by_restoring_a_manifest_is_requested_again(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        key = manifest_key(date.fromisoformat(day_of(4)))
        before = pipeline.lake.get(key)
        assert before is not None
        assert run_requested(pipeline) == [day_of(4)]
        pipeline.put(key, before.body)
        assert run_requested(pipeline) == [day_of(4)]
        assert run_requested(pipeline) == []
        assert pipeline.recorded("daily_player_stats", day_of(4), "kills") == 2


def test_a_cancelled_run_is_requested_again(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        (request,) = tick(pipeline).run_requests
        tags = {**request.tags, "dagster/run_key": request.run_key}
        cancelled = dg.DagsterRun(daily_stats_job.name, status=dg.DagsterRunStatus.CANCELED, tags=tags)
        pipeline.instance.add_run(cancelled)
        (again,) = tick(pipeline).run_requests
        assert again.run_key != request.run_key
        assert run_requested(pipeline) == [day_of(4)]


@pytest.mark.trial
def test_an_identical_landing_of_the_other_day_is_the_same_finding(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        run_requested(pipeline)
        assert pipeline.run(daily_stats_job.name, day_of(3)).success
        assert run_requested(pipeline) == []


@pytest.mark.trial
def test_another_finding_for_the_same_day_is_requested_too(lake_resource: LakeResource) -> None:
    log = with_one_late_kill()
    partition = list(log.partitions[0])
    log = ListedLog({0: partition})
    with landed(lake_resource, log, days_ago=(5, 4, 3)) as pipeline:
        assert run_requested(pipeline) == [day_of(4)]
        partition.append(late_kill(4, delivered=2, happened=4))
        assert pipeline.run(daily_stats_job.name, day_of(2)).success
        (request,) = tick(pipeline).run_requests
        assert request.run_config["ops"]["raw_events"]["config"] == {"up_to_landing_of": day_of(2)}
        assert run_requested(pipeline) == [day_of(4)]
        assert pipeline.recorded("daily_player_stats", day_of(4), "kills") == 3


def test_findings_of_two_landings_for_one_day_are_one_run_that_reads_both_ranges(lake_resource: LakeResource) -> None:
    log = ListedLog({0: [*with_one_late_kill().partitions[0], late_kill(4, delivered=2, happened=4)]})
    with landed(lake_resource, log) as pipeline:
        (request,) = tick(pipeline).run_requests
        finders = f"{day_of(3)},{day_of(2)}"
        assert request.run_config["ops"]["raw_events"]["config"] == {"up_to_landing_of": finders}
        assert run_requested(pipeline) == [day_of(4)]
        assert pipeline.recorded("daily_player_stats", day_of(4), "kills") == 3


def with_a_chain_of_late_kills() -> ListedLog:
    """One of five days ago that came four days ago, and one of four days ago that came three days ago."""
    return ListedLog(
        {
            0: [
                Message(0, noon(5), kill()),
                late_kill(1, delivered=4, happened=5),
                late_kill(2, delivered=3, happened=4),
                Message(3, noon(2), kill()),
            ]
        }
    )


@pytest.mark.trial
def test_a_landing_that_is_repeated_for_its_own_late_events_has_no_new_finding(lake_resource: LakeResource) -> None:
    """After reading up to the end of the landing of three days ago, the day before has another manifest with the same
    findings."""
    with landed(lake_resource, with_a_chain_of_late_kills()) as pipeline:
        first, second = tick(pipeline).run_requests
        assert [first.partition_key, second.partition_key] == [day_of(5), day_of(4)]
        assert run_requested(pipeline) == [day_of(5), day_of(4)]
        assert run_requested(pipeline) == []


def test_a_day_with_an_unfinished_run_is_not_requested(lake_resource: LakeResource) -> None:
    """Findings made during the run are requested at the next tick after it."""
    with landed(lake_resource, with_a_chain_of_late_kills()) as pipeline:
        pipeline.instance.create_run_for_job(
            pipeline.definitions.resolve_job_def(daily_stats_job.name),
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/sensor_name": "late_events", "dagster/partition": day_of(4), "dagster/run_key": "other"},
        )
        assert [request.partition_key for request in tick(pipeline).run_requests] == [day_of(5)]


def test_findings_of_two_landings_are_counted_as_their_maximum(lake_resource: LakeResource) -> None:
    """Their windows overlap: the kill that came at half past midnight is in both."""
    midnight = noon(3) + timedelta(hours=12)
    late = kill("late", ts=noon(5).isoformat())
    messages = [
        Message(0, noon(5), kill()),
        Message(1, noon(4), kill()),
        Message(2, noon(3), kill()),
        Message(3, midnight + timedelta(minutes=30), late),
        Message(4, noon(2), kill()),
    ]
    with landed(lake_resource, ListedLog({0: messages})) as pipeline:
        dropped = ListedLog({0: messages[2:]}, low={0: 2})
        (warning,) = tick(pipeline, given_log(dropped)).asset_events
        assert warning.metadata["events"].value == 1
        found = f"at least 1 events of {day_of(5)}, found by the landings of {day_of(3)}, {day_of(2)}"
        assert found in warning.description


def test_a_day_more_than_a_week_ago_is_left_alone(lake_resource: LakeResource) -> None:
    log = ListedLog(
        {0: [Message(0, noon(8), kill()), Message(1, noon(7), kill()), late_kill(2, delivered=6, happened=8)]}
    )
    with landed(lake_resource, log, days_ago=(8, 6)) as pipeline:
        landing = read_landing(pipeline.lake, date.fromisoformat(day_of(6)))
        assert landing is not None
        assert landing.manifest.missed == {day_of(8): 1}
        assert tick(pipeline).run_requests == []


def test_without_a_finding_the_log_is_not_opened(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        OPENED.clear()
        assert run_requested(pipeline, Counted()) == [day_of(4)]
        assert OPENED == [1]
        tick(pipeline, Counted())
        assert OPENED == [1]


def without_what_was_first() -> ListedLog:
    """Offsets 0 and 1 have been dropped, so the day four days ago is incomplete."""
    log = with_one_late_kill()
    return ListedLog({0: log.partitions[0][2:]}, low={0: 2})


def test_a_day_that_the_log_no_longer_holds_becomes_a_warning_with_the_count(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline, webhook_server() as hook:
        result = tick(pipeline, given_log(without_what_was_first()), alerts=AlertsResource(webhook=hook.url))
        assert result.run_requests == []
        (warning,) = result.asset_events
        assert (warning.asset_key, warning.check_name) == (dg.AssetKey("raw_events"), "nothing_missed")
        assert (warning.passed, warning.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert warning.description.startswith(
            f"1 events of {day_of(4)}, found by the landing of {day_of(3)}, can't be landed any more: partition 0 "
            "has lost offsets 1 to 1 (the first one left is of "
        )
        assert warning.metadata["events"].value == 1
        assert hook.texts == [f"raw_events: {warning.description}"]
        pipeline.instance.report_runless_asset_event(warning)  # as the daemon does
        shown = pipeline.instance.event_log_storage.get_latest_asset_check_execution_by_key([NOTHING_MISSED_KEY])
        assert shown[NOTHING_MISSED_KEY].status.value == "FAILED"


def test_the_warning_is_given_once(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        first = tick(pipeline, given_log(without_what_was_first()))
        again = tick(pipeline, given_log(without_what_was_first()), cursor=first.cursor)
        assert (again.run_requests, again.asset_events) == ([], [])
        assert "Already requested or reported" in again.skip_message
        assert again.skip_message.endswith(
            f"Can't be landed any more: 1 events of {day_of(4)}, found by the landing of {day_of(3)}."
        )


def test_a_day_lost_to_a_wrong_setting_is_requested_once_it_is_corrected(
    lake_resource: LakeResource,
) -> None:
    with landed(lake_resource) as pipeline:
        wrong = tick(pipeline, given_log(ListedLog(with_one_late_kill().partitions, name="another-topic")))
        assert (wrong.run_requests, len(wrong.asset_events)) == ([], 1)
        corrected = tick(pipeline, cursor=wrong.cursor)
        assert [request.partition_key for request in corrected.run_requests] == [day_of(4)]


def test_a_reported_loss_is_dropped_from_the_cursor_when_it_is_gone(lake_resource: LakeResource) -> None:
    with landed(lake_resource) as pipeline:
        after = tick(pipeline, cursor=json.dumps(["late 2024-01-01 2024-01-02 abc"]))
        assert (len(after.run_requests), after.cursor) == (1, "[]")


@pytest.mark.parametrize("name", ["game-events", "new-events"])
def test_a_day_of_another_topic_than_the_log_s_is_not_landed_from_it(lake_resource: LakeResource, name: str) -> None:
    log = with_one_late_kill()
    with landed(lake_resource) as pipeline:
        result = tick(pipeline, given_log(ListedLog(log.partitions, name=name)))
        assert len(result.run_requests) == (name == "game-events")
        assert len(result.asset_events) == (name == "new-events")
