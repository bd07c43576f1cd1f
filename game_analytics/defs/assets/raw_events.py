"""`raw_events`: a day's events of the counted types, landed from the event log in S3."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg
from pydantic import Field

from game_analytics.defs.days import DayReport, Results, materialize_days, readable_failures, requested_days
from game_analytics.defs.history import latest_materializations, recorded
from game_analytics.defs.metadata import column_schema, markdown
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import EventLogResource, LakeResource, PipelineSettings
from game_analytics.engines.local import LocalEngine, cores
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import day_prefix
from game_analytics.landing.day import land_day
from game_analytics.landing.findings import HAS_EVENTS, NOTHING_MISSED, failure, findings, notes
from game_analytics.landing.report import LandingOptions, LandingReport, TypesSeen
from game_analytics.landing.request import ensure_log_lost_the_day, ensure_may_be_written, finders_of
from game_analytics.landing.reread import reread_day
from game_analytics.landing.tables import (
    account_lines,
    account_table,
    beyond_table,
    ignored_table,
    missed_table,
    quarantine_table,
)
from game_analytics.rules.events import COUNTED_TYPES, DESCRIPTIONS, RAW_EVENTS
from game_analytics.rules.volume import LOOKBACK_DAYS, MIN_DAYS, WEEKS, compared_with


class LandingConfig(dg.Config):
    """Run config."""

    allow_truncated: bool = Field(
        default=False,
        description="Land what is left of a day that the log no longer holds in full, or that was landed from another "
        "log. It replaces the day's earlier landing, whose objects are kept for good.",
    )
    up_to_landing_of: str | None = Field(
        default=None,
        description="Also read all offsets that the landing of this other day has read, since it found events of this "
        "day: 2025-12-31; several days separated by commas.",
    )
    reread_quarantine: bool = Field(
        default=False,
        description="Decode the day's quarantined messages again, from the lake, if the log no longer holds them.",
    )

    def finders(self) -> tuple[date, ...]:
        """``up_to_landing_of`` as days. Raises `GameAnalyticsError` if one is no day or options conflict."""
        if self.reread_quarantine and (self.allow_truncated or self.up_to_landing_of):
            raise GameAnalyticsError(
                "`reread_quarantine` reads only the lake; `allow_truncated` and `up_to_landing_of` are for reading the "
                "log. Set one or the other."
            )
        return finders_of(self.up_to_landing_of)


@dg.asset(
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="leaderboard",
    owners=["team:game-analytics"],
    kinds={"kafka", "s3", "parquet"},
    tags={"domain": "game-analytics", "layer": "raw"},
    metadata={
        "dagster/column_schema": column_schema(RAW_EVENTS, DESCRIPTIONS),
        "grain": f"one row per {' or '.join(COUNTED_TYPES)} of the UTC day, repeated deliveries included",
        "rebuild": "whole, from the log, any number of times: the same messages give the same bytes",
    },
    check_specs=[
        dg.AssetCheckSpec(
            "window_closed", asset="raw_events", description="The day was landed after its window for late events."
        ),
        dg.AssetCheckSpec(
            HAS_EVENTS,
            asset="raw_events",
            description="The day is not empty. An error, and the run fails, where messages were read and none of them "
            "became an event.",
        ),
        dg.AssetCheckSpec(
            "both_types", asset="raw_events", description=f"The day has events of {' and of '.join(COUNTED_TYPES)}."
        ),
        dg.AssetCheckSpec(
            "known_types",
            asset="raw_events",
            description="No ignored type differs from a counted one only by case, blanks or a prefix.",
        ),
        dg.AssetCheckSpec(
            "times_name_their_offset",
            asset="raw_events",
            description="Times written as text name their offset from UTC, or all of them are in UTC.",
        ),
        dg.AssetCheckSpec(
            "usual_volume",
            asset="raw_events",
            description=f"As many events as usual: near the median of the same weekday in the {WEEKS} weeks before or, "
            f"until all of these are known, of {MIN_DAYS} to {LOOKBACK_DAYS} days before.",
        ),
        dg.AssetCheckSpec("little_quarantined", asset="raw_events", description="Few messages could not be read."),
        dg.AssetCheckSpec(
            NOTHING_MISSED,
            asset="raw_events",
            description="All events of other days that were found are landed there. The check passes with a note if "
            "they are few and the sensor late_events requests their landing.",
        ),
        dg.AssetCheckSpec(
            "log_goes_on",
            asset="raw_events",
            description="There are messages after the window's end: no sign that producers or a mirror lag.",
        ),
        dg.AssetCheckSpec(
            "read_as_planned",
            asset="raw_events",
            description="No truncation, no timestamps far ahead, no open transaction that holds messages back.",
        ),
    ],
)
def raw_events(
    context: dg.AssetExecutionContext,
    config: LandingConfig,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
) -> Results:
    """One row per `KILL` or `DEATH` of the UTC day, as it was delivered.

    Lands the day's window of the event log (from 5 minutes before the day to 60 minutes after it, unless configured)
    in `raw/`, writes messages that can't be read to `quarantine/`, and commits the day by replacing its manifest, which
    accounts for every message.
    """
    with readable_failures():
        prepare = _from_quarantine if config.reread_quarantine else _from_log
        land, opened = prepare(context, config, event_log, lake, settings)
        volumes = landed_volumes(context.instance, requested_days(context), opened.place)

    def landed(day: date) -> DayReport:
        landing = land(day)
        context.log.info(f"{day}: account of the messages\n{account_lines(landing)}")
        for warning in (*landing.warnings, *landing.truncated):
            context.log.warning(f"{day}: {warning}")
        volumes[day] = landing.manifest.total()["landed"]
        return report(landing, opened, volumes, settings)

    yield from materialize_days(context, landed)


def _from_log(
    context: dg.AssetExecutionContext,
    config: LandingConfig,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
) -> tuple[Callable[[date], LandingReport], Lake]:
    """A function that lands a day from the event log, and the lake."""
    options = LandingOptions(
        lateness=settings.lateness,
        allow_truncated=config.allow_truncated,
        found_by=config.finders(),
        engine=LocalEngine(settings.workers or cores()),
        slice_size=settings.slice_messages,
        reading=settings.reading,
    )
    log, opened = event_log.open(), lake.open()
    ensure_may_be_written(log, opened, simulate_anywhere=settings.simulate_anywhere)

    def land(day: date) -> LandingReport:
        return land_day(log, opened, day, options, clock=utc_now, tell=lambda line: context.log.info(f"{day}: {line}"))

    return land, opened


def _from_quarantine(
    context: dg.AssetExecutionContext,
    config: LandingConfig,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
) -> tuple[Callable[[date], LandingReport], Lake]:
    """A function that decodes a day's quarantined messages again, unless the log still holds the day; and the lake."""
    config.finders()
    try:
        log = event_log.open()
    except GameAnalyticsError as error:
        context.log.warning(f"The log can't be asked whether it still holds the day, so only the lake is read: {error}")
        log = None
    opened = lake.open()

    def reread(day: date) -> LandingReport:
        if log is not None:
            ensure_log_lost_the_day(log, opened, day, settings.lateness, utc_now())
        return reread_day(opened, day, clock=utc_now, reading=settings.reading)

    return reread, opened


def utc_now() -> datetime:
    return datetime.now(UTC)


def landed_volumes(instance: dg.DagsterInstance, days: Sequence[date], place: str) -> dict[date, int]:
    """The number of landed events of each of these days and of those they are compared with, where recorded. One query
    per run: a query per day would take longer than counting its events."""
    wanted = {known.isoformat() for day in days for known in (day, *compared_with(day))}
    landed = latest_materializations(instance, dg.AssetKey("raw_events"), wanted)
    # Records of earlier versions don't name their lake.
    in_lake = {key: record for key, record in landed.items() if recorded(record, "lake") in {None, place}}
    counts = {date.fromisoformat(key): recorded(record, "dagster/row_count") for key, record in in_lake.items()}
    return {day: count for day, count in counts.items() if isinstance(count, int)}


def report(landing: LandingReport, lake: Lake, volumes: Mapping[date, int], settings: PipelineSettings) -> DayReport:
    """Metadata and check findings of the day's materialization. ``volumes`` are the landed events of the day and of
    those it is compared with."""
    manifest, window, failed = landing.manifest, landing.manifest.window, failure(landing)
    sentences = {
        "unread_before": landing.unread_before,
        "truncated": landing.truncated,
        "warnings": landing.warnings,
    }
    return DayReport(
        metadata={
            "dagster/row_count": manifest.total()["landed"],
            "dagster/uri": lake.uri(day_prefix("raw", manifest.day)),
            "account": markdown(account_table(landing)),
            **{name: landing.own[name] for name in ("read", "ignored", "other_days", "quarantined")},
            **({"beyond_the_day": markdown(beyond_table(landing))} if landing.beyond["read"] else {}),
            "quarantine": markdown(quarantine_table(landing.reasons, landing.samples)),
            **_types_metadata(landing.types),
            "missed": markdown(missed_table(landing)),
            "missed_days": len(manifest.missed),
            "window": f"{window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC",
            "window_closed": manifest.window_closed,
            "topic": manifest.topic,
            "log": str(manifest.log),
            "lake": lake.place,
            "etag": landing.etag,
            "sha256": landing.sha256,
            **{name: "\n".join(lines) for name, lines in sentences.items() if lines},
        },
        findings=findings(
            landing,
            volumes,
            volume_percent=settings.volume_percent,
            quarantine_percent=settings.quarantine_percent,
        ),
        notes=notes(landing),
        errors=() if failed is None else (HAS_EVENTS,),
        failure=failed,
    )


def _types_metadata(types: TypesSeen | None) -> dict[str, object]:
    if types is None:
        return {}
    return {"ignored_types": markdown(ignored_table(types)), "without_offset": types.times["without_offset"]}
