"""The sensors that tell people, by a webhook, of runs that failed and of checks that failed or warn: one message a run.

What can't be delivered is a line in the tick's log, and fails nothing. Dagster's own run status sensors remember ids of
events, and SQLite gives those of deleted runs again: after a deletion they stay silent. These remember runs.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import dagster as dg
import msgspec

from game_analytics.defs.days import DAY_TAG
from game_analytics.defs.owed.under_way import RANGE_END, RANGE_START, is_of_location
from game_analytics.defs.resources import AlertsResource

_CLOCKS_DIFFER = timedelta(minutes=10)
"""How much later than others a run may be heard of that has ended before them: runs are processes on many machines."""

_SECONDS = 30.0
"""After which a tick begins with no further run; the daemon gives it a minute."""

_RUN_ID_DIGITS = 8


class Told(msgspec.Struct):
    """What people were told of already: a sensor's cursor."""

    begun: float
    """What ended before is nobody's business. In seconds since 1970, as all times here."""
    since: float
    """When the last run ended that was looked at."""
    runs: dict[str, float]
    """Those that ended shortly before, by the beginning of their ids, with their ends."""

    def includes(self, run_id: str) -> bool:
        return run_id[:_RUN_ID_DIGITS] in self.runs

    def with_run(self, run_id: str, ended: float) -> "Told":
        since = max(self.since, ended)
        runs = {**self.runs, run_id[:_RUN_ID_DIGITS]: ended}
        kept = {key: end for key, end in runs.items() if end > since - _CLOCKS_DIFFER.total_seconds()}
        return Told(self.begun, since, kept)

    @property
    def looked_at_from(self) -> float:
        return max(self.begun, self.since - _CLOCKS_DIFFER.total_seconds())


@dg.sensor(
    name="alert_on_failure",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, for each run that failed.",
)
def alert_on_failure(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SkipReason:
    """Tell which assets failed and why, and which checks of the run did."""
    return _tell(context, alerts, dg.DagsterRunStatus.FAILURE, partial(_failure, context.instance))


@dg.sensor(
    name="alert_on_checks",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, where checks failed or warn.",
)
def alert_on_checks(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SkipReason:
    """Tell which checks of a run failed that did its work otherwise."""
    return _tell(context, alerts, dg.DagsterRunStatus.SUCCESS, partial(_failed_checks, context.instance))


def _tell(
    context: dg.SensorEvaluationContext,
    alerts: AlertsResource,
    status: dg.DagsterRunStatus,
    say: Callable[[dg.DagsterRun], Iterator[str]],
) -> dg.SkipReason:
    """Post what there is to say of each run that has ended so since the last tick."""
    told = _told(context.cursor)
    if told is None:
        now = time.time()
        context.update_cursor(_cursor(Told(now, now, {})))
        return dg.SkipReason("People are told of runs that end from now on.")
    until, looked_at = time.monotonic() + _SECONDS, 0
    for record in _ended(context, status, told):
        if time.monotonic() > until:
            break
        lines = list(say(record.dagster_run))
        if lines:
            alerts.post(context.log, "\n".join(lines), record.dagster_run.run_id)
        told = told.with_run(record.dagster_run.run_id, _end_of(record))
        looked_at += 1
    context.update_cursor(_cursor(told))
    return dg.SkipReason(f"{looked_at} runs have ended with {status.value} since the last tick.")


def _told(cursor: str | None) -> Told | None:
    """None for a sensor that begins, and where an earlier version has left another cursor."""
    try:
        return None if cursor is None else msgspec.json.decode(cursor, type=Told)
    except msgspec.MsgspecError:
        return None


def _cursor(told: Told) -> str:
    return msgspec.json.encode(told).decode()


def _ended(context: dg.SensorEvaluationContext, status: dg.DagsterRunStatus, told: Told) -> list[dg.RunRecord]:
    """The runs of this code location that have ended so and that nobody was told of, in the order of their ends."""
    since = told.looked_at_from
    wanted = dg.RunsFilter(statuses=[status], updated_after=datetime.fromtimestamp(since, UTC))
    records = [
        record
        for record in context.instance.get_run_records(wanted)
        if _end_of(record) > since and not told.includes(record.dagster_run.run_id) and _is_ours(context, record)
    ]
    return sorted(records, key=_end_of)


def _end_of(record: dg.RunRecord) -> float:
    return record.update_timestamp.timestamp() if record.end_time is None else record.end_time


def _is_ours(context: dg.SensorEvaluationContext, record: dg.RunRecord) -> bool:
    ours = context.code_location_origin
    return is_of_location(record.dagster_run, None if ours is None else ours.location_name)


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    steps = _events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    for event in steps:
        yield f"{event.step_key} {_days(run)} failed: {_reason(event)}"
    if not steps:
        said = "; ".join(str(event.message) for event in _events(instance, run, dg.DagsterEventType.RUN_FAILURE))
        yield f"{_selected(run)} {_days(run)} failed: {said}"
    yield from _failed_checks(instance, run)


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run.run_id, of_type=kind).records
    return [event for record in records if (event := record.event_log_entry.dagster_event) is not None]


def _failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        if not check.passed:
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
    if RANGE_START in run.tags:
        return f"of {run.tags[RANGE_START]} to {run.tags.get(RANGE_END)}"
    day = run.tags.get("dagster/partition") or run.tags.get(DAY_TAG)
    return f"of {day}" if day else "of no day"


def _selected(run: dg.DagsterRun) -> str:
    assets = sorted(key.to_user_string() for key in run.asset_selection or [])
    return ", ".join(assets) or run.job_name
