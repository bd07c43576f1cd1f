"""The sensor that has days landed again when another day's landing found events of theirs.

It compares facts at each tick: what the standing manifests of the last days have found, and how far each day was read.
Its cursor only keeps it from telling twice what can't be fixed.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import dagster as dg

from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Surroundings, of_sensor, under_way
from game_analytics.defs.outstanding.requests import (
    ASKED_FOR_TAG,
    SUCCESSES_AT_MOST,
    attempts_by_word,
    fresh_key,
    word_of,
)
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import AlertsResource, EventLogResource, LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake
from game_analytics.landing.day import lost_of
from game_analytics.landing.findings import NOTHING_MISSED
from game_analytics.landing.late import Finding, owed
from game_analytics.sources.event_log import EventLog

LOOKS_BACK = 7
"""Days. Late events of older ones are not landed any more; that there are some, the finder's check has told."""

UNDONE_WITHIN = timedelta(days=1)

_SENSOR_NAME = "late_events"
FOUND_BY_TAG = "game_analytics/late_events_found_by"


@dataclass(frozen=True)
class Late:
    """A day whose late events are owed, and all that was found of it, by finder."""

    day: date
    findings: tuple[Finding, ...]

    @property
    def run_key(self) -> str:
        """What was found, by which landings, and which landing lacks it."""
        finders = " ".join(f"{each.found_by} {each.manifest_sha256[:12]}" for each in self.findings)
        return f"late {self.day} {self.findings[0].standing_sha256[:12]} {finders}"

    def word(self, place: str) -> str:
        """The key in this lake in short, for a tag."""
        return word_of(f"{place} {self.run_key}")

    @property
    def events(self) -> int:
        """How many there are, at least: windows overlap, so two finders may have found the same."""
        return max(each.events for each in self.findings)

    def __str__(self) -> str:
        if len(self.findings) == 1:
            return str(self.findings[0])
        finders = ", ".join(str(each.found_by) for each in self.findings)
        return f"at least {self.events:,} events of {self.day}, found by the landings of {finders}"

    def request(self, place: str, run_key: str) -> dg.RunRequest:
        """Land the day with all that the finders have read."""
        finder = ",".join(str(each.found_by) for each in self.findings)
        return dg.RunRequest(
            run_key=run_key,
            partition_key=str(self.day),
            run_config={"ops": {raw_events.op.name: {"config": {"up_to_landing_of": finder}}}},
            tags={FOUND_BY_TAG: finder, LAKE_TAG: place, ASKED_FOR_TAG: self.word(place)},
        )

    def why_lost(self, log: EventLog, lake: Lake, lateness: timedelta) -> Sequence[str]:
        """Why the log can't give the day what was found; nothing if it can."""
        return lost_of(log, lake, self.day, lateness, _now(), tuple(each.found_by for each in self.findings))

    def lost(self, why: Sequence[str]) -> dg.AssetCheckEvaluation:
        """A warning on the asset's page, for a day that can't be landed again."""
        return dg.AssetCheckEvaluation(
            asset_key=raw_events.key,
            check_name=NOTHING_MISSED,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{self}, can't be landed any more: {'; '.join(why)}",
            metadata={"days": str(self.day), "events": self.events},
        )


@dg.sensor(
    name=_SENSOR_NAME,
    target=daily_stats_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Lands a day of the last {LOOKS_BACK} again when another day's landing has found events of it.",
)
def late_events(
    context: dg.SensorEvaluationContext,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
    alerts: AlertsResource,
) -> dg.SensorResult | dg.SkipReason:
    """Ask once for each day of which something was found. One that the log no longer holds becomes a failed check."""
    opened = lake.open()
    around = of_sensor(context, opened.place)
    keys = daily.get_partition_keys()[-LOOKS_BACK:]
    # Before the lake: a run that ends in between is then either under way or has landed its day.
    waiting = under_way(around, raw_events.key, keys)
    found = list(_by_day(owed(opened, [date.fromisoformat(key) for key in keys], context.log.warning)))
    told = set(json.loads(context.cursor or "[]"))
    asked = _to_ask(around, [late for late in found if late.day.isoformat() not in waiting])
    if not asked:
        return dg.SkipReason(_nothing_new(found, []))

    log = event_log.open()
    lost = {late: why for late in asked if (why := late.why_lost(log, opened, settings.lateness))}
    if lost.keys() == asked.keys() and all(late.run_key in told for late in lost):
        return dg.SkipReason(_nothing_new(found, list(lost)))
    warnings = [late.lost(why) for late, why in lost.items() if late.run_key not in told]
    for warning in warnings:
        context.log.warning(str(warning.description))
    if warnings:  # in one message: a tick has a minute
        said = "\n".join(f"{raw_events.key.to_user_string()}: {warning.description}" for warning in warnings)
        alerts.post(context.log, said)
    still_told = {late.run_key for late in lost}
    return dg.SensorResult(
        run_requests=[late.request(opened.place, run_key) for late, run_key in asked.items() if late not in lost],
        asset_events=warnings,
        cursor=json.dumps(sorted(still_told)),
    )


def _to_ask(around: Surroundings, found: Sequence[Late]) -> dict[Late, str]:
    """Those for which a run is to be asked, each with a run key that none has carried. A run that failed is not asked
    for again for the same findings; one that was undone since, by a restored manifest, is, but not again and again."""
    attempts = attempts_by_word(around, [late.word(around.place) for late in found])
    asked = {}
    for late in found:
        runs = attempts.get(late.word(around.place), ())
        lately = [run for run in runs if run.update_timestamp > _now() - UNDONE_WITHIN]
        made = [run for run in lately if run.dagster_run.status is dg.DagsterRunStatus.SUCCESS]
        failed = any(run.dagster_run.status is dg.DagsterRunStatus.FAILURE for run in runs)
        if not failed and len(made) < SUCCESSES_AT_MOST:
            asked[late] = fresh_key(f"{around.place} {late.run_key}", runs)
    return asked


def _by_day(findings: Sequence[Finding]) -> Iterator[Late]:
    for day, of_day in groupby(findings, key=lambda finding: finding.day):
        yield Late(day, tuple(of_day))


def _nothing_new(found: Sequence[Late], lost: Sequence[Late]) -> str:
    if not found:
        return f"No landing of the last {LOOKS_BACK} days has found events that another one of them does not hold."
    gone = f" Can't be landed any more: {'; '.join(map(str, lost))}." if lost else ""
    return (
        f"Asked for or told of already: {'; '.join(map(str, found))}. A run that failed is not asked for again unless "
        f"more is found: launch it again from its page.{gone}"
    )


def _now() -> datetime:
    return datetime.now(UTC)
