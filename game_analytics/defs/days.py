"""Runs over one day or many: each day is materialized and recorded by itself, and one that fails does not stop the
others."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from game_analytics.defs.history import RECORDED_BEFORE
from game_analytics.defs.outstanding.in_progress import RANGE_END, RANGE_START
from game_analytics.defs.partitions import ensure_partitions
from game_analytics.defs.step_output import not_done_upstream, partial_output
from game_analytics.errors import GameAnalyticsError, Unavailable

DAY_TAG = "game_analytics/day"
"""On runs that concern a day but have no partition."""

RETRY_DELAYS = (5, 15)
"""Seconds before each retry when a service stops answering during a run. Dagster's own retry policy would show
"RetryRequestedFromPolicy" in place of the error."""

Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult | dg.DagsterEvent]
"""What the body of an asset yields."""


@dataclass(frozen=True)
class DayReport:
    """What a day's materialization and checks show."""

    metadata: Mapping[str, Any]
    findings: Mapping[str, str | None] = field(default_factory=dict)
    """By check: what is wrong, None if the check passes."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By check: what it says though it passes."""
    errors: Collection[str] = ()
    """Checks whose findings are errors rather than warnings."""
    failure: str | None = None
    """Why the step must fail for the day though it is recorded: later steps leave the day as it is."""


@contextmanager
def readable_failures() -> Iterator[None]:
    """Turns a `GameAnalyticsError` into a step failure that shows its message and no stack trace."""
    try:
        yield
    except GameAnalyticsError as error:
        # Without its causes: the message includes what they say, and their stack traces would bury it.
        raise dg.Failure(description=str(error)) from None


def requested_days(context: dg.AssetExecutionContext) -> list[date]:
    """The days of the run, in order. Raises `GameAnalyticsError` if the range is reversed or a day is no partition."""
    tags = context.run.tags
    if RANGE_START in tags and RANGE_END in tags:
        ensure_partitions(tags[RANGE_START], tags[RANGE_END])
    keys = context.partition_keys
    ensure_partitions(keys[0], keys[-1])
    return [date.fromisoformat(key) for key in keys]


def materialize_days(
    context: dg.AssetExecutionContext, work: Callable[[date], DayReport], delays: Sequence[float] = RETRY_DELAYS
) -> Results:
    """Call ``work`` for each day of the run, and yield the events of the step.

    In a range, a finished day is recorded at once and a failed one does not stop the next. At the end the step fails
    with the names of the failed days; downstream steps still run for the others. If all days succeed, Dagster records
    them all once more from the result (see `RECORDED_BEFORE`).
    """
    with readable_failures():
        days = requested_days(context)
    work = _with_retries(context, work, iter(delays))
    yield from _materialize_day(context, days[0], work) if len(days) == 1 else _materialize_range(context, days, work)


def _materialize_day(context: dg.AssetExecutionContext, day: date, work: Callable[[date], DayReport]) -> Results:
    with readable_failures():
        report = work(day)
    if report.failure is not None:
        _record(context, day, report, str(day))
        yield from _check_results({day: report})
        raise dg.Failure(description=report.failure)
    context.add_asset_metadata(metadata=report.metadata, partition_key=day.isoformat())
    yield dg.MaterializeResult(check_results=_check_results({day: report}))


def _materialize_range(
    context: dg.AssetExecutionContext, requested: Sequence[date], work: Callable[[date], DayReport]
) -> Results:
    skipped = _not_done_upstream(context)
    outcomes = dict(_outcomes(context, [day for day in requested if day not in skipped], work))
    failed = {day: fault for day, outcome in outcomes.items() if (fault := _fault(outcome)) is not None}
    recorded = {day: outcome for day, outcome in outcomes.items() if isinstance(outcome, DayReport)}
    done = recorded.keys() - failed.keys()
    if len(done) == len(requested):
        yield dg.MaterializeResult(check_results=_check_results(recorded))
        return
    if recorded:
        yield from _check_results(recorded)
    if done:
        yield partial_output(context, [day for day in requested if day not in done])
    if failed or not done:
        raise dg.Failure(description=_failure(len(outcomes), failed))


def _fault(outcome: DayReport | Exception) -> str | None:
    return outcome.failure if isinstance(outcome, DayReport) else str(outcome)


def _not_done_upstream(context: dg.AssetExecutionContext) -> set[date]:
    """The days that an upstream step of this run has failed to do. They are skipped, as in a run of such a day alone:
    their input is missing or unchanged."""
    days = not_done_upstream(context)
    if days:
        named = ", ".join(map(str, sorted(days)))
        context.log.warning(f"Skipped and left as they are, since an upstream step failed for them: {named}")
    return days


def _outcomes(
    context: dg.AssetExecutionContext, days: Sequence[date], work: Callable[[date], DayReport]
) -> Iterator[tuple[date, DayReport | Exception]]:
    """Each day with its report, after that is recorded, or with the error that it failed with."""
    for number, day in enumerate(days, 1):
        progress = f"{day} ({number} of {len(days)})"
        try:
            report = work(day)
        except Unavailable as error:
            context.log.error(f"{progress} failed: {error}")
            # The remaining days need the same service.
            yield from ((each, error) for each in days[number - 1 :])
            return
        except Exception as error:
            # No error of one day may stop the others. Bugs are logged with their traceback.
            trace = None if isinstance(error, GameAnalyticsError) else error
            context.log.error(f"{progress} failed: {error}", exc_info=trace)
            yield day, error
        else:
            _record(context, day, report, progress)
            if report.failure is not None:
                context.log.error(f"{progress} failed: {report.failure}")
            yield day, report


def _record(context: dg.AssetExecutionContext, day: date, report: DayReport, progress: str) -> None:
    # The description is the record's line in the run's log: a further log line would cost as much as landing 500
    # messages.
    context.log_event(
        dg.AssetMaterialization(
            context.asset_key,
            description=f"{progress} is done" if report.failure is None else f"{progress} is landed, and failed",
            partition=day.isoformat(),
            metadata=report.metadata,
        )
    )
    # For the repeated record, which Dagster makes of each day when the whole range is done.
    again = {**report.metadata, RECORDED_BEFORE: True}
    context.add_asset_metadata(metadata=again, partition_key=day.isoformat())


def _failure(days: int, failed: Mapping[date, str]) -> str:
    if not failed:
        return "Upstream steps have failed for every day, so there is nothing to do."
    reasons = "\n".join(f"{day}: {fault}" for day, fault in failed.items())
    others = ", the others are done and recorded" if len(failed) < days else ""
    return f"{len(failed)} of {days} days failed{others}. Run these again once what they name is fixed:\n{reasons}"


def _with_retries(
    context: dg.AssetExecutionContext, work: Callable[[date], DayReport], delays: Iterator[float]
) -> Callable[[date], DayReport]:
    """``work`` with a retry after each of ``delays`` when a service does not answer. All days of the run share them."""

    def attempt(day: date) -> DayReport:
        while True:
            try:
                return work(day)
            except Unavailable as error:
                delay = None if error.waited else next(delays, None)
                if delay is None:
                    raise
                context.log.warning(f"{day}: {error} Trying again in {delay} s.")
                time.sleep(delay)

    return attempt


def _check_results(reports: Mapping[date, DayReport]) -> list[dg.AssetCheckResult]:
    """One result for each check. It names the days in its text, since asset checks have no partitions."""
    names = {name: None for report in reports.values() for name in report.findings}
    return [_check_result(name, reports) for name in names]


def _check_result(name: str, reports: Mapping[date, DayReport]) -> dg.AssetCheckResult:
    findings = [f"{day}: {finding}" for day, report in reports.items() if (finding := report.findings.get(name))]
    notes = [f"{day}: {report.notes[name]}" for day, report in reports.items() if name in report.notes]
    is_error = any(name in report.errors for report in reports.values())
    first, last = min(reports), max(reports)
    days = str(first) if first == last else f"{first} to {last}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description="\n".join(findings or notes) or f"{days}: all is well",
        metadata={"days": days},
    )
