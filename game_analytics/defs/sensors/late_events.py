"""The sensor that requests another landing of a day when another day's landing has found events of it.

At each tick it compares the committed manifests of the last days: which events of other days each has found, and which
offsets each has read. Its cursor holds only the run keys of losses that were reported, so that none is reported twice.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import dagster as dg

from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Scope, days_in_progress, scope_of_sensor
from game_analytics.defs.outstanding.requests import (
    MAX_SUCCESSES,
    REQUEST_TAG,
    attempts_by_id,
    request_id,
    unused_run_key,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import AlertsResource, EventLogResource, LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake
from game_analytics.landing.again import losses_of_landing_again
from game_analytics.landing.findings import NOTHING_MISSED
from game_analytics.landing.late import Finding, find_late_events
from game_analytics.sources.event_log import EventLog

LOOKBACK_DAYS = 7
"""Late events of older days are not landed; the check `nothing_missed` of the day that found them has reported them."""

_ATTEMPTS_COUNT_FOR = timedelta(days=1)

_SENSOR_NAME = "late_events"
FOUND_BY_TAG = "game_analytics/late_events_found_by"


@dataclass(frozen=True)
class Late:
    """A day that lacks late events, with what each of the other days' landings has found of it."""

    day: date
    findings: tuple[Finding, ...]

    @property
    def run_key(self) -> str:
        """Names the landing that lacks the events and those that found them."""
        finders = " ".join(f"{each.found_by} {each.manifest_sha256[:12]}" for each in self.findings)
        return f"late {self.day} {self.findings[0].lacking_sha256[:12]} {finders}"

    def request_id(self, place: str) -> str:
        return request_id(f"{place} {self.run_key}")

    @property
    def events(self) -> int:
        """How many events there are, at least: windows overlap, so two landings may have found the same ones."""
        return max(each.events for each in self.findings)

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return str(self.findings[0])
        finders = ", ".join(str(each.found_by) for each in self.findings)
        return f"at least {self.events:,} events of {self.day}, found by the landings of {finders}"

    def request(self, place: str, run_key: str) -> dg.RunRequest:
        """A run that reads the day's window and all that the other days' landings have read."""
        finder = ",".join(str(each.found_by) for each in self.findings)
        return dg.RunRequest(
            run_key=run_key,
            partition_key=str(self.day),
            run_config={"ops": {raw_events.op.name: {"config": {"up_to_landing_of": finder}}}},
            tags={FOUND_BY_TAG: finder, LAKE_TAG: place, REQUEST_TAG: self.request_id(place)},
        )

    def losses(self, log: EventLog, lake: Lake, lateness: timedelta) -> Sequence[str]:
        """Why the log can't deliver the day with these events any more, one sentence each; empty if it can."""
        return losses_of_landing_again(
            log, lake, self.day, lateness, _now(), tuple(each.found_by for each in self.findings)
        )

    def failed_check(self, losses: Sequence[str]) -> dg.AssetCheckEvaluation:
        """A failed `nothing_missed` for a day that can't be landed again."""
        return dg.AssetCheckEvaluation(
            asset_key=raw_events.key,
            check_name=NOTHING_MISSED,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{self}, can't be landed any more: {'; '.join(losses)}",
            metadata={"days": str(self.day), "events": self.events},
        )


@dg.sensor(
    name=_SENSOR_NAME,
    target=daily_stats_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Lands a day of the last {LOOKBACK_DAYS} again when another day's landing has found events of it.",
)
def late_events(
    context: dg.SensorEvaluationContext,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
    alerts: AlertsResource,
) -> dg.SensorResult | dg.SkipReason:
    """Request one run for each day of which events were found. A day that the log no longer holds fails its check."""
    opened = lake.open()
    scope = scope_of_sensor(context, opened.place)
    keys = daily.get_partition_keys()[-LOOKBACK_DAYS:]
    # Queried before the lake is read, so that a run that ends in between shows in at least one of the two.
    in_progress = days_in_progress(scope, raw_events.key, keys)
    all_late = list(_by_day(find_late_events(opened, [date.fromisoformat(key) for key in keys], context.log.warning)))
    reported = set(json.loads(context.cursor or "[]"))
    run_keys = _run_keys(scope, [late for late in all_late if late.day.isoformat() not in in_progress])
    if not run_keys:
        return dg.SkipReason(_nothing_new(all_late, []))

    log = event_log.open()
    lost = {late: losses for late in run_keys if (losses := late.losses(log, opened, settings.lateness))}
    if lost.keys() == run_keys.keys() and all(late.run_key in reported for late in lost):
        return dg.SkipReason(_nothing_new(all_late, list(lost)))
    failed_checks = [late.failed_check(losses) for late, losses in lost.items() if late.run_key not in reported]
    for check in failed_checks:
        context.log.warning(str(check.description))
    if failed_checks:  # one alert for all: a tick has a minute
        lines = [f"{raw_events.key.to_user_string()}: {check.description}" for check in failed_checks]
        alerts.post(context.log, "\n".join(lines))
    return dg.SensorResult(
        run_requests=[late.request(opened.place, run_key) for late, run_key in run_keys.items() if late not in lost],
        asset_events=failed_checks,
        cursor=json.dumps(sorted(late.run_key for late in lost)),
    )


def _run_keys(scope: Scope, all_late: Sequence[Late]) -> dict[Late, str]:
    """The days that need a run, each with an unused run key. After a failed run none is requested for the same
    findings. After a successful one, whose landing was undone by restoring an older manifest, at most one more within a
    day."""
    attempts = attempts_by_id(scope, [late.request_id(scope.place) for late in all_late])
    run_keys = {}
    for late in all_late:
        runs = attempts.get(late.request_id(scope.place), ())
        recent = [run for run in runs if run.update_timestamp > _now() - _ATTEMPTS_COUNT_FOR]
        succeeded = [run for run in recent if run.dagster_run.status is dg.DagsterRunStatus.SUCCESS]
        failed = any(run.dagster_run.status is dg.DagsterRunStatus.FAILURE for run in runs)
        if not failed and len(succeeded) < MAX_SUCCESSES:
            run_keys[late] = unused_run_key(f"{scope.place} {late.run_key}", runs)
    return run_keys


def _by_day(findings: Sequence[Finding]) -> Iterator[Late]:
    for day, of_day in groupby(findings, key=lambda finding: finding.day):
        yield Late(day, tuple(of_day))


def _nothing_new(all_late: Sequence[Late], lost: Sequence[Late]) -> str:
    if not all_late:
        return f"No landing of the last {LOOKBACK_DAYS} days has found events that another of these days lacks."
    gone = f" Can't be landed any more: {'; '.join(map(str, lost))}." if lost else ""
    return (
        f"Already requested or reported: {'; '.join(map(str, all_late))}. A run that failed is not requested again "
        f"unless more is found: re-execute it from its page.{gone}"
    )


def _now() -> datetime:
    return datetime.now(UTC)
