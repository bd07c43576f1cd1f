"""The two daily schedules: `daily_stats` lands and counts days whose window has closed, `freshness` checks their boards
later. Which days are due is read from the lake; sensors do the rest."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, timedelta

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.days import DAY_TAG
from game_analytics.defs.freshness import freshness_config, freshness_job
from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.outstanding.due_days import DueDay, Needs, due_days, landed_from_another_log
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Scope, days_in_progress, scope_of_schedule
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import EventLogResource, LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import window_of

LOOKBACK_DAYS = 7
"""A day that was missed during downtime, or landed too early, is requested again while it is one of these."""

_STATS_TIME = timedelta(hours=1, minutes=15)
_STATS_AFTER_WINDOW = timedelta(minutes=15)

_FRESHNESS_TIME = timedelta(hours=3)
_FRESHNESS_AFTER_WINDOW = timedelta(hours=2)


def daily_stats_schedule(lateness: timedelta) -> dg.ScheduleDefinition:
    """Lands and counts each due day, at 01:15 UTC, or 15 minutes after the window closes if that is later."""

    @dg.schedule(
        name="daily_stats",
        job=daily_stats_job,
        cron_schedule=_every_day(max(_STATS_TIME, lateness + _STATS_AFTER_WINDOW)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Lands and counts each of the last {LOOKBACK_DAYS} days that has no stats from a closed window.",
    )
    def daily_stats(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, event_log: EventLogResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        days = [date.fromisoformat(key) for key in daily.get_partition_keys(current_time=now)[-LOOKBACK_DAYS:]]
        opened = lake.open()
        # Queried before the lake is read, so that a run that ends in between shows in at least one of the two.
        in_progress = _in_progress(scope_of_schedule(context, opened.place), days)
        closed = [day for day in days if now >= window_of(day, lateness).end]
        due = list(due_days(opened, closed, context.log.warning))
        refused = _refused(context, due, event_log)
        requested = [each for each in due if each.day not in in_progress[each.needs] and each not in refused]
        for each in refused:
            context.log.warning(_refusal(each))
        if not requested:
            return dg.SkipReason(_nothing_requested(due, refused))
        tags = {LAKE_TAG: opened.place}
        return [
            dg.RunRequest(run_key=f"{each.day} at {now:%Y-%m-%dT%H:%M}", partition_key=str(each.day), tags=tags)
            for each in requested
        ]

    return daily_stats


def _in_progress(scope: Scope, days: Sequence[date]) -> Mapping[Needs, AbstractSet[date]]:
    """By need, the days for which an unfinished run covers it. A landing covers stats too: `new_landing` counts after
    it."""
    keys = [day.isoformat() for day in days]
    landing, stats = (days_in_progress(scope, asset.key, keys) for asset in (raw_events, daily_player_stats))
    by_need = {Needs.LANDING: landing, Needs.STATS: landing | stats}
    return {need: {date.fromisoformat(key) for key in covered} for need, covered in by_need.items()}


def _refused(
    context: dg.ScheduleEvaluationContext, due: Sequence[DueDay], event_log: EventLogResource
) -> Sequence[DueDay]:
    """The days whose landing would be refused. None if the log can't be asked: the run will then report why."""
    try:
        return landed_from_another_log(due, lambda: event_log.open().identity)
    except GameAnalyticsError as error:
        context.log.warning(f"The log's identity could not be read: {error}")
        return []


def _refusal(due: DueDay) -> str:
    landed = due.landing.manifest.log if due.landing is not None else None
    return (
        f"{due.day} is not requested: it was landed from another log, {landed}, so landing it from today's would be "
        "refused. To do it anyway, materialize raw_events for it with `allow_truncated: true`."
    )


def _nothing_requested(due: Sequence[DueDay], refused: Sequence[DueDay]) -> str:
    if not due:
        return f"The last {LOOKBACK_DAYS} days are landed and counted, each from a closed window."
    if refused:
        return " ".join(_refusal(each) for each in refused)
    return f"Runs are in progress for all days that are due: {', '.join(str(each.day) for each in due)}."


def freshness_schedule(lateness: timedelta) -> dg.ScheduleDefinition:
    """Checks the newest board that is due, at 03:00 UTC, or two hours after the window closes if that is later."""

    @dg.schedule(
        name="freshness",
        job=freshness_job,
        cron_schedule=_every_day(max(_FRESHNESS_TIME, lateness + _FRESHNESS_AFTER_WINDOW)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Checks whether the newest board that is due is published and made from a closed window.",
    )
    def freshness(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        due = [
            day
            for day in daily.get_partition_keys(current_time=now)
            if now >= window_of(date.fromisoformat(day), lateness).end + _FRESHNESS_AFTER_WINDOW
        ]
        if not due:
            return dg.SkipReason("No board is due yet.")
        day = due[-1]
        return dg.RunRequest(
            run_key=f"{day} at {now:%Y-%m-%dT%H:%M}",
            run_config=freshness_config(day),
            tags={DAY_TAG: day},
        )

    return freshness


def _every_day(time: timedelta) -> str:
    """The cron expression of a time after midnight, UTC; whole days in it are dropped."""
    hours, minutes = divmod(time % timedelta(days=1) // timedelta(minutes=1), 60)
    return f"{minutes} {hours} * * *"
