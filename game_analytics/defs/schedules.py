"""What happens every day: each day is landed and counted once its window has closed, and later its board is looked for.
What is owed, the lake tells; the sensors do the rest."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, timedelta

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.days import DAY_TAG
from game_analytics.defs.freshness import freshness_config, freshness_job
from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.outstanding.due_days import Due, Lacks, due, of_another_log
from game_analytics.defs.outstanding.in_progress import LAKE_TAG, Surroundings, of_schedule, under_way
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import EventLogResource, LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import window_of

LOOKS_BACK = 7
"""Days: one that was missed by downtime, or landed too early, is asked for again as long as it is one of these."""

_EARLIEST = timedelta(hours=1, minutes=15)
_AFTER_WINDOW = timedelta(minutes=15)

_LOOKED_FOR = timedelta(hours=3)
_LOOKED_FOR_AFTER_WINDOW = timedelta(hours=2)


def daily_stats_schedule(lateness: timedelta) -> dg.ScheduleDefinition:
    """At 01:15 UTC, or a quarter of an hour after the window closes if that is later: each day that is owed."""

    @dg.schedule(
        name="daily_stats",
        job=daily_stats_job,
        cron_schedule=_every_day(max(_EARLIEST, lateness + _AFTER_WINDOW)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Lands and counts each of the last {LOOKS_BACK} days that has no stats from a closed window yet.",
    )
    def daily_stats(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, event_log: EventLogResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        days = [date.fromisoformat(key) for key in daily.get_partition_keys(current_time=now)[-LOOKS_BACK:]]
        opened = lake.open()
        around = of_schedule(context, opened.place)
        # Before the lake: a run that ends in between is then either under way or has done its day.
        waiting = _under_way(around, days)
        found = due(opened, [day for day in days if now >= window_of(day, lateness).end], context.log.warning)
        refused = _refused(context, found, event_log)
        owed = [each for each in found if each.day not in waiting[each.lacks] and each not in refused]
        for each in refused:
            context.log.warning(_why_refused(each))
        if not owed:
            return dg.SkipReason(_nothing_owed(found, refused))
        tags = {LAKE_TAG: opened.place}
        return [
            dg.RunRequest(run_key=f"{each.day} at {now:%Y-%m-%dT%H:%M}", partition_key=str(each.day), tags=tags)
            for each in owed
        ]

    return daily_stats


def _under_way(around: Surroundings, days: Sequence[date]) -> Mapping[Lacks, AbstractSet[date]]:
    """The days that need no run, by what they lack: a run under way will bring it, or what another sensor waits for."""
    keys = [day.isoformat() for day in days]
    landing, stats = (under_way(around, asset.key, keys) for asset in (raw_events, daily_player_stats))
    by_lack = {Lacks.LANDING: landing, Lacks.STATS: landing | stats}
    return {lack: {date.fromisoformat(key) for key in covered} for lack, covered in by_lack.items()}


def _refused(context: dg.ScheduleEvaluationContext, found: Sequence[Due], event_log: EventLogResource) -> Sequence[Due]:
    """The days whose landing would be refused. Where the log can't be asked, none: the run will say what is wrong."""
    try:
        return of_another_log(found, lambda: event_log.open().identity)
    except GameAnalyticsError as error:
        context.log.warning(f"Which log it is could not be asked: {error}")
        return []


def _why_refused(due_day: Due) -> str:
    landed = due_day.standing.manifest.log if due_day.standing is not None else None
    return (
        f"{due_day.day} is not asked for: it was landed from another log, {landed}, and to land it from today's would "
        "be refused. To do so all the same, materialize raw_events for it with `allow_truncated: true`."
    )


def _nothing_owed(found: Sequence[Due], refused: Sequence[Due]) -> str:
    if not found:
        return f"The last {LOOKS_BACK} days are landed and counted, each from a closed window."
    if refused:
        return " ".join(_why_refused(each) for each in refused)
    return f"Runs are under way for all that is owed: {', '.join(str(each.day) for each in found)}."


def freshness_schedule(lateness: timedelta) -> dg.ScheduleDefinition:
    """At 03:00 UTC, or two hours after the window closes if that is later: whether the board is there."""

    @dg.schedule(
        name="freshness",
        job=freshness_job,
        cron_schedule=_every_day(max(_LOOKED_FOR, lateness + _LOOKED_FOR_AFTER_WINDOW)),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks whether the newest board that must be there by now is, and made from a closed window.",
    )
    def freshness(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        due = [
            day
            for day in daily.get_partition_keys(current_time=now)
            if now >= window_of(date.fromisoformat(day), lateness).end + _LOOKED_FOR_AFTER_WINDOW
        ]
        if not due:
            return dg.SkipReason("No board has to be there yet.")
        day = due[-1]
        return dg.RunRequest(
            run_key=f"{day} at {now:%Y-%m-%dT%H:%M}",
            run_config=freshness_config(day),
            tags={DAY_TAG: day},
        )

    return freshness


def _every_day(time: timedelta) -> str:
    """The cron expression of a time of day; one that is a day or more stands for the rest of it."""
    hours, minutes = divmod(time % timedelta(days=1) // timedelta(minutes=1), 60)
    return f"{minutes} {hours} * * *"
