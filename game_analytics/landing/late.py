"""Late events: what landings have found of earlier days beyond those days' windows, and what of it is still owed.

A fact of the lake alone: each manifest tells what its landing found, and how far the other days were read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.landing.standing import Standing, read_standing
from game_analytics.landing.window import window_of
from game_analytics.resources.lake import Lake


@dataclass(frozen=True)
class Finding:
    """Events of ``day`` that were delivered after its window, and lie in the window of ``found_by``."""

    day: date
    found_by: date
    events: int
    manifest_sha256: str
    """Of the landing that found them: another landing of that day is another finding."""

    def __str__(self) -> str:
        return f"{self.events:,} events of {self.day} in the window of {self.found_by}"


def owed(lake: Lake, days: Sequence[date], lateness: timedelta, warn: Callable[[str], None]) -> list[Finding]:
    """What the landings of these days have found that their earlier ones among them do not hold yet, by day and by
    finder.

    A day counts as healed once it was read to the end of the finder's own window. One that was never landed is not
    owed, since its landing comes first, nor is one of another topic; and a landing that did not see its whole window
    tells nothing yet. Nor does one whose manifest can't be read, which is a warning; the other days go ahead.
    """
    landed = {day: found for day in days if (found := _readable_manifest(lake, day, warn)) is not None}
    return [
        Finding(day, finder, events, found.sha256)
        for day, own in landed.items()
        for finder, found in landed.items()
        if finder > day
        and found.manifest.window_closed
        and (events := found.manifest.missed.get(day.isoformat(), 0))
        and own.manifest.window.end < window_of(finder, lateness).end
        and own.manifest.topic == found.manifest.topic
    ]


def _readable_manifest(lake: Lake, day: date, warn: Callable[[str], None]) -> Standing | None:
    try:
        return read_standing(lake, day)
    except Unavailable:
        raise
    except GameAnalyticsError as error:
        warn(str(error))
        return None
