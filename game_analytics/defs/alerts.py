"""Shared by both alert sensors: finds the runs that have ended since the last tick, and posts one message for each.

An alert that can't be delivered is logged and fails nothing. Dagster's own run status sensors keep an event id as their
cursor; SQLite reuses the ids of deleted runs, so they would miss runs after a deletion. These keep run ids.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec

from game_analytics.defs.days import DAY_TAG
from game_analytics.defs.outstanding.in_progress import RANGE_END, RANGE_START, is_of_location
from game_analytics.defs.resources import AlertsResource

_CLOCK_SKEW = timedelta(minutes=10)
"""How much the end times of runs may be out of order: runs are processes on many machines."""

_TICK_SECONDS = 30.0
"""A tick starts no further run's alert after this; the daemon gives it a minute."""

_RUN_ID_DIGITS = 8


class Reported(msgspec.Struct):
    """The runs that were already reported: a sensor's cursor. Times are in seconds since 1970."""

    begun: float
    """When the sensor was started: runs that ended earlier are not reported."""
    since: float
    """The latest end time of the handled runs."""
    runs: dict[str, float]
    """The handled runs that ended within `_CLOCK_SKEW` of ``since``: the first digits of the run id to the end time."""

    def includes(self, run_id: str) -> bool:
        return run_id[:_RUN_ID_DIGITS] in self.runs

    def with_run(self, run_id: str, ended: float) -> "Reported":
        since = max(self.since, ended)
        runs = {**self.runs, run_id[:_RUN_ID_DIGITS]: ended}
        kept = {key: end for key, end in runs.items() if end > since - _CLOCK_SKEW.total_seconds()}
        return Reported(self.begun, since, kept)

    @property
    def query_since(self) -> float:
        return max(self.begun, self.since - _CLOCK_SKEW.total_seconds())


def report_runs(
    context: dg.SensorEvaluationContext,
    alerts: AlertsResource,
    status: dg.DagsterRunStatus,
    messages_of: Callable[[dg.DagsterRun], Iterator[str]],
) -> dg.SkipReason:
    """Post the messages of each run that has ended with this status since the last tick, as one alert."""
    reported = _read_cursor(context.cursor)
    if reported is None:
        now = time.time()
        context.update_cursor(_cursor(Reported(now, now, {})))
        return dg.SkipReason("Runs that end from now on are reported.")
    until, handled = time.monotonic() + _TICK_SECONDS, 0
    for record in _ended_runs(context, status, reported):
        if time.monotonic() > until:
            break
        lines = list(messages_of(record.dagster_run))
        if lines:
            alerts.post(context.log, "\n".join(lines), record.dagster_run.run_id)
        reported = reported.with_run(record.dagster_run.run_id, _end_of(record))
        handled += 1
    context.update_cursor(_cursor(reported))
    return dg.SkipReason(f"{handled} runs have ended with {status.value} since the last tick.")


def _read_cursor(cursor: str | None) -> Reported | None:
    """None at the first tick, and for the cursor of an earlier version."""
    try:
        return None if cursor is None else msgspec.json.decode(cursor, type=Reported)
    except msgspec.MsgspecError:
        return None


def _cursor(reported: Reported) -> str:
    return msgspec.json.encode(reported).decode()


def _ended_runs(
    context: dg.SensorEvaluationContext, status: dg.DagsterRunStatus, reported: Reported
) -> list[dg.RunRecord]:
    """The unreported runs of this code location that ended with this status, by end time."""
    since = reported.query_since
    wanted = dg.RunsFilter(statuses=[status], updated_after=datetime.fromtimestamp(since, UTC))
    records = [
        record
        for record in context.instance.get_run_records(wanted)
        if _end_of(record) > since and not reported.includes(record.dagster_run.run_id) and _is_ours(context, record)
    ]
    return sorted(records, key=_end_of)


def _end_of(record: dg.RunRecord) -> float:
    return record.update_timestamp.timestamp() if record.end_time is None else record.end_time


def _is_ours(context: dg.SensorEvaluationContext, record: dg.RunRecord) -> bool:
    ours = context.code_location_origin
    return is_of_location(record.dagster_run, None if ours is None else ours.location_name)


def failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """One line for each failed step, with its reason, and for each failed check."""
    steps = _events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    for event in steps:
        yield f"{event.step_key} {_days(run)} failed: {_reason(event)}"
    if not steps:
        reasons = "; ".join(str(event.message) for event in _events(instance, run, dg.DagsterEventType.RUN_FAILURE))
        yield f"{_selected(run)} {_days(run)} failed: {reasons}"
    yield from failed_checks(instance, run)


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run.run_id, of_type=kind).records
    return [event for record in records if (event := record.event_log_entry.dagster_event) is not None]


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """One line for each check that failed or warns. Its description names the days."""
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        if not check.passed:
            outcome = "warns" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
            yield f"{check.asset_key.to_user_string()}: the check {check.check_name} {outcome}: {check.description}"


def _reason(event: dg.DagsterEvent) -> str:
    """The description of a `dg.Failure`, or the message of the root cause."""
    failure = event.step_failure_data
    reported = failure.user_failure_data
    if reported is not None and reported.description:
        return reported.description
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
