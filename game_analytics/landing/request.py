"""What a run asks of a landing, checked before anything is read or written."""

from datetime import date, datetime, timedelta

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import read_landing
from game_analytics.lake.errors import START_LOCALLY
from game_analytics.landing.again import losses_of_landing_again
from game_analytics.sources.event_log import EventLog


def finders_of(up_to_landing_of: str | None) -> tuple[date, ...]:
    """``2025-12-31, 2026-01-01`` as days. Raises `GameAnalyticsError` if one is no day."""
    try:
        named = [] if up_to_landing_of is None else up_to_landing_of.split(",")
        return tuple(date.fromisoformat(day.strip()) for day in named)
    except ValueError as error:
        raise GameAnalyticsError(
            f"`up_to_landing_of` is {up_to_landing_of!r}; a day is expected, as 2025-12-31."
        ) from error


def ensure_may_be_written(log: EventLog, lake: Lake, *, simulate_anywhere: bool) -> None:
    """Raises `GameAnalyticsError` if simulated events would be written to a lake that is not on this machine."""
    if log.simulated and not lake.is_local and not simulate_anywhere:
        raise GameAnalyticsError(
            f"The events are simulated, but the lake is at {lake.endpoint}, which is not on this machine. Set "
            "KAFKA_BOOTSTRAP_SERVERS to read real events, or GAME_ANALYTICS_SIMULATION=allow to write simulated ones "
            f"there. {START_LOCALLY}"
        )


def ensure_log_lost_the_day(log: EventLog, lake: Lake, day: date, lateness: timedelta, now: datetime) -> None:
    """Raises `GameAnalyticsError` if the log still holds all of a landed day: it is then landed from the log, instead
    of reading its quarantine again."""
    if read_landing(lake, day) and not losses_of_landing_again(log, lake, day, lateness, now):
        raise GameAnalyticsError(
            f"The topic {log.topic} still holds all of {day}, so nothing was read again from the quarantine. Land "
            "the day without `reread_quarantine`: that decodes all of its messages with today's rules."
        )
