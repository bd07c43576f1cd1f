"""The schedule that lands and counts each day once its window has closed. The sensor does the rest."""

from datetime import UTC, date, timedelta

import dagster as dg

from game_analytics.assets.daily_player_stats import daily_player_stats
from game_analytics.history import latest_materializations, recorded
from game_analytics.jobs import daily_stats_job
from game_analytics.landing.window import window_of
from game_analytics.partitions import daily

LOOKS_BACK = 7
"""Days: one that was missed by downtime, or landed too early, is asked for again as long as it is one of these."""

_EARLIEST = timedelta(hours=1, minutes=15)
_AFTER_WINDOW = timedelta(minutes=15)


def daily_stats_schedule(lateness: timedelta) -> dg.ScheduleDefinition:
    """At 01:15 UTC, or a quarter of an hour after the window closes if that is later: each day that is owed."""
    time_of_day = max(_EARLIEST, lateness + _AFTER_WINDOW) % timedelta(days=1)
    hours, minutes = divmod(time_of_day // timedelta(minutes=1), 60)

    @dg.schedule(
        name="daily_stats",
        job=daily_stats_job,
        cron_schedule=f"{minutes} {hours} * * *",
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
