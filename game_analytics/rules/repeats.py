"""Repeated deliveries of a day's events. At-least-once producers repeat a few events. Many repeats, or repeats whose
times differ, suggest that the ids don't identify events, so that different events are counted as one."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from game_analytics.errors import printable

REPEATED_BY = ("event_id", "game_id", "player_id", "event_type")
"""Deliveries of a day that agree in all of these are one event; two without a ``game_id`` agree in it. Events without
an ``event_id`` are never repeats."""

MAX_PERCENT = 5
"""Share of a day's landed events that may be repeats; at-least-once delivery repeats far fewer."""

_ADVICE = (
    "If they are different events, give each its own event_id (it need be unique only within game_id, player_id and "
    "event_type), or leave it out, then land and count the day again."
)


@dataclass(frozen=True)
class Repeated:
    """An event that was delivered more than once, with the earliest and the latest time of its deliveries."""

    event_id: str
    game_id: str | None
    player_id: str
    event_type: str
    deliveries: int
    earliest: datetime
    latest: datetime

    def __str__(self) -> str:
        game = "" if self.game_id is None else f" in game {self.game_id!r}"
        return printable(f"{self.event_type} of {self.player_id!r} with event_id {self.event_id!r}{game}")


@dataclass(frozen=True)
class Repeats:
    """A day's repeated events."""

    most_repeated: Repeated | None = None
    at_other_times: int = 0
    """Repeated events whose deliveries differ in time."""
    example: Repeated | None = None
    """The first of those, by player and event id."""

    @staticmethod
    def among(events: pl.DataFrame) -> "Repeats":
        """From one row per event: the columns `REPEATED_BY`, ``deliveries``, ``earliest`` and ``latest``."""
        most = events.filter(pl.col("deliveries") > 1, pl.col("deliveries") == pl.col("deliveries").max())
        differing = events.filter(pl.col("earliest") != pl.col("latest"))
        return Repeats(_first(most), differing.height, _first(differing))

    def too_many(self, landed: int, duplicates: int) -> str | None:
        """The finding if more than `MAX_PERCENT` of the day's landed events are repeats, else None."""
        if self.most_repeated is None or duplicates * 100 <= landed * MAX_PERCENT:
            return None
        return (
            f"{duplicates:,} of {landed:,} landed events ({duplicates / landed:.1%}) repeat others and do not count: "
            f"{self.most_repeated} came {self.most_repeated.deliveries:,} times. {_ADVICE}"
        )

    def differing(self) -> str | None:
        """The finding if deliveries of one event differ in time, else None."""
        if self.example is None:
            return None
        times = f"{_shown(self.example.earliest)} and {_shown(self.example.latest)}"
        return (
            f"{self.at_other_times:,} events were repeated with another ts and count once each: {self.example} "
            f"happened at {times}. {_ADVICE}"
        )


def _first(events: pl.DataFrame) -> Repeated | None:
    """The first event by player, then by event. The filter saves sorting millions of rows."""
    of_one = events.filter(pl.col("player_id") == pl.col("player_id").min()).sort("event_id", "game_id", "event_type")
    names = [*REPEATED_BY, "deliveries", "earliest", "latest"]
    return None if of_one.is_empty() else Repeated(**of_one.select(names).row(0, named=True))


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
