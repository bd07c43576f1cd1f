"""Whether a day with late events can be landed again: it is recent, and the log still holds it. `late.py` finds the
days."""

from datetime import date, datetime, timedelta

from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import Landings
from game_analytics.lake.names import manifest_key
from game_analytics.landing.losses import lost_to_finders
from game_analytics.landing.neighbours import Neighbours
from game_analytics.landing.plan import plan
from game_analytics.landing.window import LogSnapshot
from game_analytics.rules.days import ONE_DAY
from game_analytics.sources.event_log import EventLog

LANDED_AGAIN_WITHIN = 7
"""Days: late events of older days are landed only on request."""


def is_recent(day: date, now: datetime) -> bool:
    """Whether the sensor lands this day again by itself. Tomorrow counts: its first landing is still to come."""
    return -ONE_DAY <= now.date() - day <= timedelta(days=LANDED_AGAIN_WITHIN)


def lands_again(landings: Landings, snapshot: LogSnapshot, day: date) -> bool:
    """Whether the sensor will land the missed events of this day: it is recent, and the log still holds all of it."""
    return is_recent(day, snapshot.now) and not _losses(landings, snapshot, day)


def losses_of_landing_again(
    log: EventLog, lake: Lake, day: date, lateness: timedelta, now: datetime, found_by: tuple[date, ...] = ()
) -> list[str]:
    """What landing a landed day again from this log would lose: of the day, or of what the landings of the days
    ``found_by`` have read. A sentence each; empty if nothing."""
    landings, snapshot = Landings(lake, day), LogSnapshot(log, lateness, now)
    if landings.of(day) is None:
        return [f"{lake.uri(manifest_key(day))} does not exist: the day was never landed"]
    return _losses(landings, snapshot, day, found_by)


def _losses(landings: Landings, snapshot: LogSnapshot, day: date, found_by: tuple[date, ...] = ()) -> list[str]:
    finders = (landings.manifest_of(finder) for finder in found_by)
    neighbours = Neighbours(
        committed=landings.manifest_of(day),
        previous=landings.manifest_of(day - ONE_DAY),
        finders=tuple(finder for finder in finders if finder is not None),
    )
    losses = plan(snapshot, day, neighbours, allow_truncated=True).truncated
    return losses or list(lost_to_finders(snapshot, neighbours.of_log(snapshot.identity)))
