"""One run, one day or many: each day is done by itself, a failing one doesn't stop the others, each is recorded."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.history import RECORDED_BEFORE

DAY_TAG = "game_analytics/day"
"""Of a run that is about a day without being a partition's."""

PAUSES = (5, 15)
"""Seconds that a run waits before it tries again, when a service stops answering while it works. Dagster's own retry
policy would show «RetryRequestedFromPolicy» in place of the error."""


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


def materialize_days(
    context: dg.AssetExecutionContext, work: Callable[[date], DayReport], pauses: Sequence[float] = PAUSES
) -> dg.MaterializeResult:
    """Do ``work`` for each day of the run.

    In a range, a day that fails is noted and the next one begins; a finished day is recorded at once, so that it stays
    recorded whatever comes after. At the end the run fails naming every day that failed, or else returns one result,
    with which Dagster records all days of the run.
    """
    days = [date.fromisoformat(key) for key in context.partition_keys]
    work = _patiently(context, work, iter(pauses))
    findings: dict[date, Mapping[str, str | None]] = {}
    if len(days) == 1:
        with readable_failures():
            report = work(days[0])
        context.add_asset_metadata(metadata=report.metadata, partition_key=days[0].isoformat())
        findings[days[0]] = report.findings
        return dg.MaterializeResult(check_results=_check_results(findings))

    failed: dict[date, Exception] = {}
    for number, day in enumerate(days, 1):
        try:
            report = work(day)
        except Unavailable as error:
            context.log.error(f"{day} ({number} of {len(days)}) failed: {error}")
            failed |= dict.fromkeys(days[number - 1 :], error)
            break  # the days that remain would wait in vain for the same service
        except Exception as error:
            # Whatever stops one day must not stop the others. A fault of our own is logged with its traceback.
            trace = None if isinstance(error, GameAnalyticsError) else error
            context.log.error(f"{day} ({number} of {len(days)}) failed: {error}", exc_info=trace)
            failed[day] = error
            continue
        # The description is what the run's log shows of it: a line more would cost as much as landing 500 messages.
        context.log_event(
            dg.AssetMaterialization(
                context.asset_key,
                description=f"{day} ({number} of {len(days)}) is done",
                partition=day.isoformat(),
                metadata=report.metadata,
            )
        )
        # For the second record, which Dagster makes of each day when the whole range is done.
        again = {**report.metadata, RECORDED_BEFORE: True}
        context.add_asset_metadata(metadata=again, partition_key=day.isoformat())
        findings[day] = report.findings
    if failed:
        reasons = "\n".join(f"{day}: {error}" for day, error in failed.items())
        raise dg.Failure(
            description=f"{len(failed)} of {len(days)} days failed, the others are done and recorded. Run these again "
            f"once what they name is mended:\n{reasons}",
        )
    return dg.MaterializeResult(check_results=_check_results(findings))


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


def _check_results(findings: Mapping[date, Mapping[str, str | None]]) -> list[dg.AssetCheckResult]:
    """One result for each check; it names the days, since checks have no partitions."""
    names = {name: None for of_day in findings.values() for name in of_day}
    return [_check_result(name, {day: of_day.get(name) for day, of_day in findings.items()}) for name in names]


def _check_result(name: str, findings: Mapping[date, str | None]) -> dg.AssetCheckResult:
    found = [f"{day}: {finding}" for day, finding in findings.items() if finding]
    first, last = min(findings), max(findings)
    days = str(first) if first == last else f"{first} to {last}"
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(found) or f"{days}: all is well",
        metadata={"days": days},
    )
