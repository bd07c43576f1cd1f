"""One run, one day or many: each day is done by itself, a failing one doesn't stop the others, each is recorded."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from game_analytics.defs.history import RECORDED_BEFORE
from game_analytics.defs.outstanding.in_progress import RANGE_END, RANGE_START
from game_analytics.defs.partitions import ensure_partitions
from game_analytics.defs.step_output import not_done_before, output_of_some_days
from game_analytics.errors import GameAnalyticsError, Unavailable

DAY_TAG = "game_analytics/day"
"""Of a run that is about a day without being a partition's."""

PAUSES = (5, 15)
"""Seconds that a run waits before it tries again, when a service stops answering while it works. Dagster's own retry
policy would show «RetryRequestedFromPolicy» in place of the error."""


Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult | dg.DagsterEvent]
"""What the body of an asset yields."""


@dataclass(frozen=True)
class DayReport:
    """What a day's materialization shows, and what its checks found: check name to finding, None if all is well."""

    metadata: Mapping[str, Any]
    findings: Mapping[str, str | None] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a check that passes says all the same."""


@contextmanager
def readable_failures() -> Iterator[None]:
    """Show a fault that a user can act upon as its message alone."""
    try:
        yield
    except GameAnalyticsError as error:
        # Without its causes: what they say stands in the message, and their stack traces would bury it.
        raise dg.Failure(description=str(error)) from None


def asked_days(context: dg.AssetExecutionContext) -> list[date]:
    """The days of the run, in order. Raises `GameAnalyticsError` where it asks for none, or for no partition."""
    tags = context.run.tags
    if RANGE_START in tags and RANGE_END in tags:
        ensure_partitions(tags[RANGE_START], tags[RANGE_END])
    keys = context.partition_keys
    ensure_partitions(keys[0], keys[-1])
    return [date.fromisoformat(key) for key in keys]


def materialize_days(
    context: dg.AssetExecutionContext, work: Callable[[date], DayReport], pauses: Sequence[float] = PAUSES
) -> Results:
    """Do ``work`` for each day of the run, and yield what the step has to tell Dagster.

    In a range, a day that fails is noted and the next one begins; a finished day is recorded at once, so that it stays
    recorded whatever comes after. At the end the run fails naming every day that failed, and the steps behind do the
    others all the same. Where all days are done, one result has Dagster record all days of the run.
    """
    with readable_failures():
        days = asked_days(context)
    work = _patiently(context, work, iter(pauses))
    yield from _materialize_day(context, days[0], work) if len(days) == 1 else _materialize_range(context, days, work)


def _materialize_day(context: dg.AssetExecutionContext, day: date, work: Callable[[date], DayReport]) -> Results:
    with readable_failures():
        report = work(day)
    context.add_asset_metadata(metadata=report.metadata, partition_key=day.isoformat())
    yield dg.MaterializeResult(check_results=_check_results({day: report}))


def _materialize_range(
    context: dg.AssetExecutionContext, asked: Sequence[date], work: Callable[[date], DayReport]
) -> Results:
    left_out = _left_out(context)
    outcomes = dict(_outcomes(context, [day for day in asked if day not in left_out], work))
    failed = {day: outcome for day, outcome in outcomes.items() if isinstance(outcome, Exception)}
    done = {day: outcome for day, outcome in outcomes.items() if isinstance(outcome, DayReport)}
    if len(done) == len(asked):
        yield dg.MaterializeResult(check_results=_check_results(done))
        return
    if done:
        yield from _check_results(done)
        yield output_of_some_days(context, [day for day in asked if day not in done])
    if failed or not done:
        raise dg.Failure(description=_failure(len(outcomes), failed))


def _left_out(context: dg.AssetExecutionContext) -> set[date]:
    """The days for which a step before has failed in this run. They are not tried: it would fail again, or make the
    same as before, and a run of that day alone would stop there, too."""
    days = not_done_before(context)
    if days:
        named = ", ".join(map(str, sorted(days)))
        context.log.warning(f"Left out as they stand, since a step before this one failed for them: {named}")
    return days


def _outcomes(
    context: dg.AssetExecutionContext, days: Sequence[date], work: Callable[[date], DayReport]
) -> Iterator[tuple[date, DayReport | Exception]]:
    """Each day with its report, once that is recorded, or with what stopped it."""
    for number, day in enumerate(days, 1):
        progress = f"{day} ({number} of {len(days)})"
        try:
            report = work(day)
        except Unavailable as error:
            context.log.error(f"{progress} failed: {error}")
            # The days that remain would wait without success for the same service.
            yield from ((each, error) for each in days[number - 1 :])
            return
        except Exception as error:
            # Whatever stops one day must not stop the others. A fault of our own is logged with its traceback.
            trace = None if isinstance(error, GameAnalyticsError) else error
            context.log.error(f"{progress} failed: {error}", exc_info=trace)
            yield day, error
        else:
            _record(context, day, report, progress)
            yield day, report


def _record(context: dg.AssetExecutionContext, day: date, report: DayReport, progress: str) -> None:
    # The description is what the run's log shows of it: a line more would cost as much as landing 500 messages.
    context.log_event(
        dg.AssetMaterialization(
            context.asset_key,
            description=f"{progress} is done",
            partition=day.isoformat(),
            metadata=report.metadata,
        )
    )
    # For the second record, which Dagster makes of each day when the whole range is done.
    again = {**report.metadata, RECORDED_BEFORE: True}
    context.add_asset_metadata(metadata=again, partition_key=day.isoformat())


def _failure(days: int, failed: Mapping[date, Exception]) -> str:
    if not failed:
        return "Steps before this one have failed for every day, so that none is left to do."
    reasons = "\n".join(f"{day}: {error}" for day, error in failed.items())
    others = ", the others are done and recorded" if len(failed) < days else ""
    return f"{len(failed)} of {days} days failed{others}. Run these again once what they name is fixed:\n{reasons}"


def _patiently(
    context: dg.AssetExecutionContext, work: Callable[[date], DayReport], pauses: Iterator[float]
) -> Callable[[date], DayReport]:
    """``work`` that is tried again when a service does not answer, as often in the whole run as there are pauses."""

    def attempt(day: date) -> DayReport:
        while True:
            try:
                return work(day)
            except Unavailable as error:
                pause = None if error.waited else next(pauses, None)
                if pause is None:
                    raise
                context.log.warning(f"{day}: {error} Trying again in {pause} s.")
                time.sleep(pause)

    return attempt


def _check_results(reports: Mapping[date, DayReport]) -> list[dg.AssetCheckResult]:
    """One result for each check; it names the days, since checks have no partitions."""
    names = {name: None for report in reports.values() for name in report.findings}
    return [_check_result(name, reports) for name in names]


def _check_result(name: str, reports: Mapping[date, DayReport]) -> dg.AssetCheckResult:
    found = [f"{day}: {finding}" for day, report in reports.items() if (finding := report.findings.get(name))]
    notes = [f"{day}: {report.notes[name]}" for day, report in reports.items() if name in report.notes]
    first, last = min(reports), max(reports)
    days = str(first) if first == last else f"{first} to {last}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(found or notes) or f"{days}: all is well",
        metadata={"days": days},
    )
