"""`raw_events`: a day's kills and deaths, landed from the event log in S3."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg
from pydantic import Field

from game_analytics.defs.days import DayReport, Results, asked_days, materialize_days, readable_failures
from game_analytics.defs.history import latest_materializations, recorded
from game_analytics.defs.metadata import account_lines, account_table, column_schema, quarantine_table, table
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import EventLogResource, LakeResource, PipelineSettings
from game_analytics.engines.local import LocalEngine, cores
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.errors import START_LOCALLY
from game_analytics.lake.names import day_prefix
from game_analytics.lake.standing import read_standing
from game_analytics.landing.day import Landing, LandingOptions, land_day, lost_of
from game_analytics.landing.reread import reread_day
from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.volume import (
    FEWEST_DAYS,
    LOOKS_BACK,
    WEEKS,
    compared_with,
    much_quarantined,
    unusual_volume,
)
from game_analytics.sources.event_log import EventLog

COLUMNS = {
    "event_time": "When it happened, UTC",
    "player_id": "Who killed or died",
    "event_type": "KILL or DEATH",
    "game_id": "The match, if the message names one",
    "event_id": "The event, if the message names one; a repeated delivery has the same",
    "kafka_partition": "Where the message lies",
    "kafka_offset": "Where the message lies",
}


NOTHING_MISSED = "nothing_missed"
LOG_GOES_ON = "log_goes_on"
MISSED_PERCENT = 1
"""Events of other days, of all that were landed, above which producers are worth a look."""
MOST_MISSED = 20
"""Days that are shown of those that miss events; a producer with a wild clock can make thousands."""


class LandingConfig(dg.Config):
    """What a single run may ask for."""

    allow_truncated: bool = Field(
        default=False,
        description="Land what is left of a day that the log no longer holds whole, or that was landed from another "
        "log. What the landing before it held is replaced by that; its objects are kept for good.",
    )
    up_to_landing_of: str | None = Field(
        default=None,
        description="Read also all that the landing of this other day (2025-12-31; several by commas) has read, which "
        "found events of this one.",
    )
    reread_quarantine: bool = Field(
        default=False,
        description="Decode the quarantined messages again, from the lake: for a day that the log no longer holds.",
    )

    def finders(self) -> tuple[date, ...]:
        """``up_to_landing_of`` as days. Raises `GameAnalyticsError` if it is none, or does not fit the rest."""
        if self.reread_quarantine and (self.allow_truncated or self.up_to_landing_of):
            raise GameAnalyticsError(
                "`reread_quarantine` reads the lake alone, `allow_truncated` and `up_to_landing_of` the log. Ask for "
                "one of them."
            )
        try:
            named = [] if self.up_to_landing_of is None else self.up_to_landing_of.split(",")
            return tuple(date.fromisoformat(day.strip()) for day in named)
        except ValueError as error:
            raise GameAnalyticsError(
                f"`up_to_landing_of` is {self.up_to_landing_of!r}; a day is expected, as 2025-12-31."
            ) from error


@dg.asset(
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="leaderboard",
    owners=["team:game-analytics"],
    kinds={"kafka", "s3", "parquet"},
    tags={"domain": "game-analytics", "layer": "raw"},
    metadata={
        "dagster/column_schema": column_schema(RAW_EVENTS, COLUMNS),
        "grain": "one row per KILL or DEATH of the UTC day, repeated deliveries included",
        "rebuild": "whole, from the log, as often as you like: the same messages give the same bytes",
    },
    check_specs=[
        dg.AssetCheckSpec(
            "window_closed", asset="raw_events", description="Everything that may still be late has had its time."
        ),
        dg.AssetCheckSpec("has_events", asset="raw_events", description="The day is not empty."),
        dg.AssetCheckSpec(
            "usual_volume",
            asset="raw_events",
            description=f"As many events as usual: near the median of the same weekday of the {WEEKS} weeks before, or "
            f"of {FEWEST_DAYS} to {LOOKS_BACK} days before while not all of these are known.",
        ),
        dg.AssetCheckSpec(
            "little_quarantined", asset="raw_events", description="Hardly any message could not be read."
        ),
        dg.AssetCheckSpec(
            NOTHING_MISSED,
            asset="raw_events",
            description="No event of another day was found that nobody will land there; a few that the sensor "
            "late_events has landed there are told and pass.",
        ),
        dg.AssetCheckSpec(
            LOG_GOES_ON,
            asset="raw_events",
            description="Messages later than the window's end are there: no sign that producers or a mirror lag.",
        ),
        dg.AssetCheckSpec(
            "read_as_planned", asset="raw_events", description="Nothing truncated, stamped far ahead or held back."
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
    in `raw/`, sets messages that can't be read aside in `quarantine/`, and commits the day by its manifest, whose
    account balances to the message.
    """
    with readable_failures():
        prepare = _from_quarantine if config.reread_quarantine else _from_log
        land, opened = prepare(context, config, event_log, lake, settings)
        volumes = landed_volumes(context.instance, asked_days(context), opened.place)

    def landed(day: date) -> DayReport:
        landing = land(day)
        context.log.info(f"{day}: what became of the messages\n{account_lines(landing)}")
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
) -> tuple[Callable[[date], Landing], Lake]:
    """How a day is landed from the event log, and the lake that it gets to."""
    options = LandingOptions(
        lateness=settings.lateness,
        allow_truncated=config.allow_truncated,
        found_by=config.finders(),
        engine=LocalEngine(settings.workers or cores()),
        slice_size=settings.slice_messages,
    )
    log, opened = event_log.open(), lake.open()
    ensure_may_be_written(log, opened, settings)

    def land(day: date) -> Landing:
        return land_day(log, opened, day, options, clock=utc_now, tell=lambda line: context.log.info(f"{day}: {line}"))

    return land, opened


def _from_quarantine(
    context: dg.AssetExecutionContext,
    config: LandingConfig,
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
) -> tuple[Callable[[date], Landing], Lake]:
    """How a day's quarantined messages are read again, unless the log still holds the day, and the lake with them."""
    config.finders()
    try:
        log = event_log.open()
    except GameAnalyticsError as error:
        context.log.warning(f"Whether the log still holds the day can't be asked, so the lake alone is read: {error}")
        log = None
    opened = lake.open()

    def reread(day: date) -> Landing:
        if (
            log is not None
            and read_standing(opened, day)
            and not lost_of(log, opened, day, settings.lateness, utc_now())
        ):
            raise GameAnalyticsError(
                f"The topic {log.topic} still holds all of {day}, so nothing was read again from the quarantine. Land "
                "the day without `reread_quarantine`: that decodes all of its messages with today's rules."
            )
        return reread_day(opened, day, clock=utc_now)

    return reread, opened


def utc_now() -> datetime:
    return datetime.now(UTC)


def landed_volumes(instance: dg.DagsterInstance, days: Sequence[date], place: str) -> dict[date, int]:
    """How many events were landed of each of these days and of those that they are compared with, as far as the
    instance remembers. Asked once a run: to ask for each day takes longer than to count its events."""
    wanted = {each.isoformat() for day in days for each in (day, *compared_with(day))}
    landed = latest_materializations(instance, dg.AssetKey("raw_events"), wanted)
    # Records of versions before don't tell which lake they are of.
    here = {key: record for key, record in landed.items() if recorded(record, "lake") in {None, place}}
    counts = {date.fromisoformat(key): recorded(record, "dagster/row_count") for key, record in here.items()}
    return {day: count for day, count in counts.items() if isinstance(count, int)}


def ensure_may_be_written(log: EventLog, lake: Lake, settings: PipelineSettings) -> None:
    """Raises `GameAnalyticsError` where invented players would get into a lake that is not on this machine."""
    if log.simulated and not lake.is_local and not settings.simulate_anywhere:
        raise GameAnalyticsError(
            f"The events are simulated, but the lake is at {lake.endpoint}, which is not on this machine. Set "
            "KAFKA_BOOTSTRAP_SERVERS to read real events, or GAME_ANALYTICS_SIMULATION=allow to write simulated ones "
            f"there. {START_LOCALLY}"
        )


def report(landing: Landing, lake: Lake, volumes: Mapping[date, int], settings: PipelineSettings) -> DayReport:
    """What the day's materialization shows, and what a person should look at. ``volumes`` are the landed events of the
    day and of those before it."""
    manifest, total = landing.manifest, landing.manifest.total()
    remarks = [*landing.warnings, *landing.truncated]
    healed = landing.beyond["read"]
    return DayReport(
        metadata={
            "dagster/row_count": total["landed"],
            "dagster/uri": lake.uri(day_prefix("raw", manifest.day)),
            "account": account_table(landing),
            **{name: landing.own[name] for name in ("read", "ignored", "other_days", "quarantined")},
            **({"beyond_the_day": table(["read to heal", "messages"], landing.beyond.items())} if healed else {}),
            "quarantine": quarantine_table(landing.reasons, landing.samples),
            "missed": table(["day", "events"], _most(manifest.missed)),
            "missed_days": len(manifest.missed),
            "window": f"{manifest.window.start:%Y-%m-%d %H:%M} to {manifest.window.end:%Y-%m-%d %H:%M} UTC",
            "window_closed": manifest.window_closed,
            "topic": manifest.topic,
            "log": str(manifest.log),
            "lake": lake.place,
            "etag": landing.etag,
            "sha256": landing.sha256,
            **({"unread_before": "\n".join(landing.unread_before)} if landing.unread_before else {}),
            **({"truncated": "\n".join(landing.truncated)} if landing.truncated else {}),
            **({"warnings": "\n".join(landing.warnings)} if landing.warnings else {}),
        },
        findings={
            "window_closed": None
            if manifest.window_closed
            else f"landed before its window closed ({manifest.window.end:%Y-%m-%d %H:%M} UTC): land it again then",
            "has_events": None if total["landed"] else "no event was landed",
            "usual_volume": unusual_volume(manifest.day, volumes, settings.volume_percent / 100),
            "little_quarantined": much_quarantined(
                landing.own["read"], landing.own["quarantined"], settings.quarantine_percent / 100
            ),
            NOTHING_MISSED: _missed(landing),
            LOG_GOES_ON: landing.lags,
            "read_as_planned": "; ".join(remarks) or None,
        },
        notes={NOTHING_MISSED: f"{_counts(manifest.missed)}: {_BY_ITSELF}"} if manifest.missed else {},
    )


_BY_ITSELF = "the sensor late_events has these days landed with them, or has already"


def _missed(landing: Landing) -> str | None:
    """What a person should know of events of other days, unless they are few and land where they belong by
    themselves."""
    manifest = landing.manifest
    left = {day: count for day, count in manifest.missed.items() if not landing.heals[date.fromisoformat(day)]}
    if left:
        return (
            f"{_counts(left)} were not read by those days' landings, and will not be landed by themselves, since the "
            "days are too long ago or to come, or the topic no longer holds them. For those that it holds, materialize "
            f'raw_events and daily_player_stats with `up_to_landing_of: "{manifest.day}"` in the run config of '
            "raw_events"
        )
    missed, landed = sum(manifest.missed.values()), manifest.total()["landed"]
    if missed * 100 <= landed * MISSED_PERCENT:
        return None
    return (
        f"{_counts(manifest.missed)} were not read by those days' landings, more than {MISSED_PERCENT} % of the day: "
        f"{_BY_ITSELF}. Look whether producers or a mirror lag, or set more GAME_ANALYTICS_LATENESS_MINUTES"
    )


def _counts(missed: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} events of {day}" for day, count in _most(missed))


def _most(missed: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(missed.items(), key=lambda each: -each[1])[:MOST_MISSED]
