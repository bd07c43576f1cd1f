"""How a day's events repeat themselves: how many do, and whether their ids name what they should. At-least-once
producers repeat a few events; many repeats, or repeats that happened at other times, are events that were lost."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from game_analytics.errors import printable

REPEATED_BY = ("event_id", "game_id", "player_id", "event_type")
"""Events of a day that agree in these are one. Events without an ``event_id`` can't be told apart; those without a
``game_id`` agree with one another in it."""

MOST_PERCENT = 5
"""Of a day's landed events; at-least-once delivery repeats far fewer."""

_ADVICE = (
    "If they are different events, give each its own event_id (it need be unique only within game_id, player_id and "
    "event_type), or leave it out, then land and count the day again."
)


@dataclass(frozen=True)
class Repeated:
    """An event that was delivered more than once, with the first and the last time that its deliveries tell."""

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
    """A day's repeated events. ``at_other_times`` counts those whose deliveries differ in their time."""

    most_repeated: Repeated | None = None
    at_other_times: int = 0
    example: Repeated | None = None
    """The first of those by player and event id."""

    @staticmethod
    def among(events: pl.DataFrame) -> "Repeats":
        """From events by `REPEATED_BY`, each with its deliveries and their earliest and latest time."""
        most = events.filter(pl.col("deliveries") > 1, pl.col("deliveries") == pl.col("deliveries").max())
        differing = events.filter(pl.col("earliest") != pl.col("latest"))
        return Repeats(_first(most), differing.height, _first(differing))

    def too_many(self, landed: int, duplicates: int) -> str | None:
        """What is wrong where more than `MOST_PERCENT` of a day's landed events are repeats."""
        if self.most_repeated is None or duplicates * 100 <= landed * MOST_PERCENT:
            return None
        return (
            f"{duplicates:,} of {landed:,} landed events ({duplicates / landed:.1%}) repeat others and do not count: "
            f"{self.most_repeated} came {self.most_repeated.deliveries:,} times. {_ADVICE}"
        )

    def differing(self) -> str | None:
        """What is wrong where deliveries of one event tell different times."""
        if self.example is None:
            return None
        times = f"{_shown(self.example.earliest)} and {_shown(self.example.latest)}"
        return (
            f"{self.at_other_times:,} events were repeated with another ts and count once each: {self.example} "
            f"happened at {times}. {_ADVICE}"
        )


def _first(events: pl.DataFrame) -> Repeated | None:
    """By player, then by event: to sort millions of them would take longer than to count them."""
    of_one = events.filter(pl.col("player_id") == pl.col("player_id").min()).sort("event_id", "game_id", "event_type")
    names = [*REPEATED_BY, "deliveries", "earliest", "latest"]
    return None if of_one.is_empty() else Repeated(**of_one.select(names).row(0, named=True))


def _shown(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
