"""Which of the last days a schedule has to land: those without stats from a landing that saw its whole window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import stats_claim
from game_analytics.lake.names import stats_key
from game_analytics.lake.standing import Standing, read_standing
from game_analytics.rules.log_identity import LogIdentity


class Lacks(Enum):
    """What a day that is owed lacks."""

    LANDING = auto()
    """It was never landed, or before its window closed."""
    STATS = auto()
    """It is landed, and its stats file is missing or made from something else."""


@dataclass(frozen=True)
class Due:
    """A day that is owed, and the landing that stands, if there is one."""

    day: date
    lacks: Lacks
    standing: Standing | None


def due(lake: Lake, days: Sequence[date], warn: Callable[[str], None]) -> list[Due]:
    """Those of the days that are owed. A stats file that somebody else wrote does for a day that is landed. One whose
    manifest or stats can't be read is a warning, and keeps no other day waiting."""
    found = []
    for day in days:
        try:
            found.append(_due(lake, day))
        except Unavailable:
            raise
        except GameAnalyticsError as error:
            warn(f"{day} is not asked for: {error}")
    return [each for each in found if each is not None]


def _due(lake: Lake, day: date) -> Due | None:
    standing = read_standing(lake, day)
    if standing is None or not standing.manifest.window_closed:
        return Due(day, Lacks.LANDING, standing)
    return Due(day, Lacks.STATS, standing) if is_behind(lake, standing) else None


def is_behind(lake: Lake, standing: Standing) -> bool:
    """Whether the stats file of a landed day is missing, or made by this pipeline from something else."""
    key = stats_key(standing.manifest.day)
    if lake.etag(key) is None:
        return True
    claim = stats_claim(lake.parquet_metadata(key))
    return claim is not None and not claim.is_of(standing.etag, standing.sha256)


def of_another_log(found: Sequence[Due], identity: Callable[[], LogIdentity]) -> list[Due]:
    """Those of which another log was landed: to land them from this one would be refused. The log is asked only if
    there is a landing to compare it with."""
    landed = [(each, each.standing.manifest.log) for each in found if each.standing is not None]
    if not landed:
        return []
    log = identity()
    return [each for each, landed_from in landed if not log.is_same_as(landed_from)]
