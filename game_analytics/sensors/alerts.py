"""The sensors that tell people, by a webhook, of runs that failed and of checks that failed or warn: one message a run.

What can't be delivered is a line in the tick's log, and fails nothing.
"""

from collections.abc import Iterator

import dagster as dg

from game_analytics.assets.days import DAY_TAG
from game_analytics.resources.configured import AlertsResource

_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.run_failure_sensor(
    name="alert_on_failure",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, for each run that failed.",
)
def alert_on_failure(context: dg.RunFailureSensorContext, alerts: AlertsResource) -> None:
    """Tell which assets failed and why, and which checks of the run did."""
    run = context.dagster_run
    failed = [
        f"{event.step_key} {_days(run)} failed: {_reason(event)}" for event in context.get_step_failure_events()
    ] or [f"{_selected(run)} {_days(run)} failed: {context.failure_event.message}"]
    alerts.post(context.log, "\n".join([*failed, *_failed_checks(context.instance, run)]), run.run_id)


@dg.run_status_sensor(
    name="alert_on_checks",
    run_status=dg.DagsterRunStatus.SUCCESS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, where checks failed or warn.",
)
def alert_on_checks(context: dg.RunStatusSensorContext, alerts: AlertsResource) -> None:
    """Tell which checks of a run failed that did its work otherwise."""
    failed = list(_failed_checks(context.instance, context.dagster_run))
    if failed:
        alerts.post(context.log, "\n".join(failed), context.dagster_run.run_id)


def _failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        check = None if event is None else event.asset_check_evaluation_data
        if check is not None and not check.passed:
            says = "warns" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
            # What a check says names its days.
            yield f"{check.asset_key.to_user_string()}: the check {check.check_name} {says}: {check.description}"


def _reason(event: dg.DagsterEvent) -> str:
    """What the step says: the message of a fault that a user can act upon, or what another one was caused by."""
    failure = event.step_failure_data
    told = failure.user_failure_data
    if told is not None and told.description:
        return told.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return "without a reason" if error is None else error.message.strip()


def _days(run: dg.DagsterRun) -> str:
    if _RANGE_START in run.tags:
        return f"of {run.tags[_RANGE_START]} to {run.tags.get(_RANGE_END)}"
    day = run.tags.get("dagster/partition") or run.tags.get(DAY_TAG)
    return f"of {day}" if day else "of no day"


def _selected(run: dg.DagsterRun) -> str:
    assets = sorted(key.to_user_string() for key in run.asset_selection or [])
    return ", ".join(assets) or run.job_name
