"""What both alert sensors share: which runs have ended since the last tick, and one message for each to the webhook.

An alert that can't be delivered is a line in the tick's log, and fails nothing. Dagster's own run status sensors
remember ids of events, and SQLite reuses those of deleted runs: after a deletion they stay silent. These remember runs.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import msgspec

from game_analytics.defs.days import DAY_TAG
from game_analytics.defs.outstanding.in_progress import RANGE_END, RANGE_START, is_of_location
from game_analytics.defs.resources import AlertsResource

_CLOCKS_DIFFER = timedelta(minutes=10)
"""How much later than others the end of a run may become known: runs are processes on many machines."""

_SECONDS = 30.0
"""After these a tick handles no further run; the daemon gives it a minute."""

_RUN_ID_DIGITS = 8


class Reported(msgspec.Struct):
    """The runs that were reported already: a sensor's cursor."""

    begun: float
    """Runs that ended before are not reported. In seconds since 1970, as all times here."""
    since: float
    """When the last run ended that was looked at."""
    runs: dict[str, float]
    """Those that ended shortly before, by the beginning of their ids, with their ends."""

    def includes(self, run_id: str) -> bool:
        return run_id[:_RUN_ID_DIGITS] in self.runs

    def with_run(self, run_id: str, ended: float) -> "Reported":
        since = max(self.since, ended)
        runs = {**self.runs, run_id[:_RUN_ID_DIGITS]: ended}
        kept = {key: end for key, end in runs.items() if end > since - _CLOCKS_DIFFER.total_seconds()}
        return Reported(self.begun, since, kept)

    @property
    def since_when(self) -> float:
        return max(self.begun, self.since - _CLOCKS_DIFFER.total_seconds())


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
    until, handled = time.monotonic() + _SECONDS, 0
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
    """None for a sensor that begins, and where an earlier version has left another cursor."""
    try:
        return None if cursor is None else msgspec.json.decode(cursor, type=Reported)
    except msgspec.MsgspecError:
        return None


def _cursor(reported: Reported) -> str:
    return msgspec.json.encode(reported).decode()


def _ended_runs(
    context: dg.SensorEvaluationContext, status: dg.DagsterRunStatus, reported: Reported
) -> list[dg.RunRecord]:
    """The runs of this code location that ended with this status and were not reported, in the order of their ends."""
    since = reported.since_when
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
    steps = _events(instance, run, dg.DagsterEventType.STEP_FAILURE)
    for event in steps:
        yield f"{event.step_key} {_days(run)} failed: {_reason(event)}"
    if not steps:
        said = "; ".join(str(event.message) for event in _events(instance, run, dg.DagsterEventType.RUN_FAILURE))
        yield f"{_selected(run)} {_days(run)} failed: {said}"
    yield from failed_checks(instance, run)


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run.run_id, of_type=kind).records
    return [event for record in records if (event := record.event_log_entry.dagster_event) is not None]


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = event.asset_check_evaluation_data
        if not check.passed:
            says = "warns" if check.severity == dg.AssetCheckSeverity.WARN else "failed"
            # What a check says names its days.
            yield f"{check.asset_key.to_user_string()}: the check {check.check_name} {says}: {check.description}"


def _reason(event: dg.DagsterEvent) -> str:
    """What the step says: the message of a fault that a user can act upon, or what another one was caused by."""
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
