"""Which of the last days the schedule has to land or count: those without stats from a closed window."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import stats_claim
from game_analytics.lake.committed import CommittedLanding, read_landing
from game_analytics.lake.names import stats_key
from game_analytics.lake.stats_files import exists
from game_analytics.rules.log_identity import LogIdentity


class Needs(Enum):
    """What a due day needs."""

    LANDING = auto()
    """It was never landed, or before its window closed."""
    STATS = auto()
    """It is landed; its stats file is missing or stale."""


@dataclass(frozen=True)
class DueDay:
    """A day that needs a run, and its committed landing, if there is one."""

    day: date
    needs: Needs
    landing: CommittedLanding | None


def due_days(lake: Lake, days: Sequence[date], warn: Callable[[str], None]) -> Iterator[DueDay]:
    """Those of the days that are due. A landed day whose stats file another program wrote is not.

    A day whose manifest or stats file can't be read is reported by ``warn`` and left out. Raises `Unavailable` if S3
    does not answer.
    """
    for day in days:
        try:
            due = _due_day(lake, day)
        except Unavailable:
            raise
        except GameAnalyticsError as error:
            warn(f"{day} is not requested: {error}")
        else:
            if due is not None:
                yield due


def _due_day(lake: Lake, day: date) -> DueDay | None:
    landing = read_landing(lake, day)
    if landing is None or not landing.manifest.window_closed:
        return DueDay(day, Needs.LANDING, landing)
    return DueDay(day, Needs.STATS, landing) if _needs_stats(lake, landing) else None


def _needs_stats(lake: Lake, landing: CommittedLanding) -> bool:
    """Whether the landed day's stats file is missing, or made by this pipeline from another landing."""
    key = stats_key(landing.manifest.day)
    if not exists(lake, landing.manifest.day):
        return True
    claim = stats_claim(lake.parquet_metadata(key))
    return claim is not None and not claim.is_of(landing.etag, landing.sha256)


def landed_from_another_log(due: Sequence[DueDay], identity: Callable[[], LogIdentity]) -> list[DueDay]:
    """Those of the days that were landed from another log than today's, so that landing them again would be refused.

    ``identity`` is called, which may take a request to the cluster, only if there is a landing to compare with.
    """
    landed = [(each, each.landing.manifest.log) for each in due if each.landing is not None]
    if not landed:
        return []
    log = identity()
    return [each for each, landed_from in landed if not log.is_same_as(landed_from)]
