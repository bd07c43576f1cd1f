"""What happens every day: each day is landed and counted once its window has closed, and later its board is looked for.
The sensors do the rest."""

from datetime import UTC, date, timedelta

import dagster as dg

from game_analytics.assets.daily_player_stats import daily_player_stats
from game_analytics.assets.days import DAY_TAG
from game_analytics.freshness import freshness_job, leaderboard_is_fresh
from game_analytics.history import latest_materializations, recorded
from game_analytics.jobs import daily_stats_job
from game_analytics.landing.window import window_of
from game_analytics.partitions import daily

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
    def daily_stats(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        days = daily.get_partition_keys(current_time=now)[-LOOKS_BACK:]
        stats = latest_materializations(context.instance, daily_player_stats.key, days)
        owed = [
            day
            for day in days
            if now >= window_of(date.fromisoformat(day), lateness).end
            and recorded(stats.get(day), "window_closed") is not True
        ]
        if not owed:
            return dg.SkipReason(f"The last {LOOKS_BACK} days are landed and counted, each from a closed window.")
        return [dg.RunRequest(run_key=f"{day} at {now:%Y-%m-%dT%H:%M}", partition_key=day) for day in owed]

    return daily_stats


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
            run_config={"ops": {leaderboard_is_fresh.name: {"config": {"day": day}}}},
            tags={DAY_TAG: day},
        )

    return freshness


def _every_day(time: timedelta) -> str:
    """The cron expression of a time of day; one that is a day or more stands for the rest of it."""
    hours, minutes = divmod(time % timedelta(days=1) // timedelta(minutes=1), 60)
    return f"{minutes} {hours} * * *"
