"""Battle royale: who plays in a match, who falls in which order and by whose hand, and when.

An hour's matches are played all at once, in columns. Times are milliseconds of the hour.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import polars as pl

from game_analytics.simulation.dice import Dice
from game_analytics.simulation.schedule import Simulation

EVENT_TYPES = pl.Enum(["KILL", "DEATH", "HEARTBEAT", "MATCH_START", "LOOT", "HEAL", "REVIVE", "SUPPLY_DROP"])

MESSAGES_PER_ELIMINATION = 1.9
"""A death, and a kill unless it was the storm."""

_STORM = 0.1

# An hour has as many matches as it needs at most this many eliminations in each. They have more seats than that: all
# are cut to the one size, about 100 players, that fills the hour best.
_ELIMINATIONS = 110
_SEATS = 120
_WAVES = 3
_WAVE_MS = 20 * 60_000


class Match(NamedTuple):
    """A match before it is played."""

    players: int
    """At most: an hour has only so much room."""
    start_ms: int
    length_ms: int
    released_ms: int = 0
    """When its messages could first be sent."""
    ahead_ms: int = 0
    """How far the clock is ahead that stamps its events."""


def regular_matches(simulation: Simulation, hour: int, eliminations: int) -> list[list[Match]]:
    """The matches that bring about so many eliminations: three waves of 20 minutes, the last one over well before the
    hour is."""
    dice = Dice(simulation, "regular matches", hour)
    wanted = -(-eliminations // _ELIMINATIONS)
    waves = []
    for wave in range(_WAVES):
        count = len(range((wave + hour) % _WAVES, wanted, _WAVES))
        seats = min(_SEATS, simulation.players // max(1, count))
        waves.append(
            [
                Match(
                    seats,
                    start_ms=wave * _WAVE_MS + dice.between(0, 90_000),
                    length_ms=dice.between(900_000, 1_080_000),
                )
                for _ in range(count)
            ]
        )
    return waves


def play(simulation: Simulation, hour: int, waves: Sequence[Sequence[Match]], room: Sequence[int]) -> pl.DataFrame:
    """Play matches, cut to a size with which no partition gets more messages than it has room for. Those of a wave
    have equally many players, and share none.

    One row per KILL and per DEATH: ``partition``, ``match`` (from 1), ``number`` (of the elimination in its match,
    from 1), ``event_type``, ``player``, ``at_ms`` (as its clock stamps it), ``delivered_ms``.
    """
    dice = Dice(simulation, "matches", hour)
    falls = _falls(_standings(_rosters(simulation, waves, dice), dice), dice)
    deaths = falls.select("match", "place", "moment", player="victim", event_type=pl.lit("DEATH", EVENT_TYPES))
    kills = falls.select("match", "place", "moment", player="killer", event_type=pl.lit("KILL", EVENT_TYPES))
    events = pl.concat([deaths, kills.drop_nulls("player")]).with_columns(
        partition=(pl.col("player") % simulation.partitions).cast(pl.UInt8)
    )
    size = _largest_size_that_fits(events, room)
    return _timed(events.filter(pl.col("place") < size), list(chain.from_iterable(waves)), size, dice)


@lru_cache(maxsize=4)
def _players(simulation: Simulation) -> pl.DataFrame:
    """One row per player, by number: ``player``, ``skill`` (0 to 1, mostly middling), ``activity`` (0.3 to 1)."""
    dice = Dice(simulation, "players", 0)
    count = simulation.players
    return pl.DataFrame(
        {
            "player": pl.int_range(count, dtype=pl.Int32, eager=True),
            "skill": (dice.many(count) + dice.many(count)) / 2,
            "activity": 0.3 + 0.7 * dice.many(count),
        }
    )


def _rosters(simulation: Simulation, waves: Iterable[Sequence[Match]], dice: Dice) -> pl.DataFrame:
    """One row per seat: ``match``, ``player``, ``skill``. The more active a player, the more often he plays."""
    everyone = _players(simulation)
    luck = dice.many(everyone.height)
    seated = [everyone.clear()]
    matches: list[int] = []
    first_match = 1
    for wave in filter(None, waves):
        # One throw an hour is enough: from wave to wave, everybody's luck turns on by a quarter of a circle.
        luck = (luck + 0.25) % 1
        patience = luck / everyone["activity"]
        players = wave[0].players
        seats = len(wave) * players
        seated.append(everyone.filter(patience <= patience.bottom_k(seats).max()).head(seats))
        # A player's number says nothing about him, so they are dealt to the matches as they come.
        matches += [*range(first_match, first_match + len(wave))] * players
        first_match += len(wave)
    return pl.concat(seated).with_columns(match=pl.Series(matches, dtype=pl.Int32))


def _standings(rosters: pl.DataFrame, dice: Dice) -> pl.DataFrame:
    """The rosters by match and ``place``: how many players are left standing when this one falls; the winner's is 0."""
    fortune = dice.many(rosters.height) + 0.8 * rosters["skill"]
    by_match_and_fortune = 2 * rosters["match"] - fortune  # fortune is always below 2
    return rosters.sort(by_match_and_fortune).with_columns(
        place=pl.int_range(pl.len(), dtype=pl.Int32).over("match"),
    )


def _falls(standings: pl.DataFrame, dice: Dice) -> pl.DataFrame:
    """One row per player who falls: ``match``, ``place``, ``victim``, ``killer`` (any of those still standing; null
    for the storm), ``moment`` (0 to 1, of the time between the fall before and this one)."""
    seats = standings.height
    winner = pl.int_range(seats) - pl.col("place")
    killer = winner + (pl.col("place") * pl.lit(dice.many(seats))).cast(pl.Int64)
    by_a_player = pl.lit(dice.many(seats)) >= _STORM
    return standings.select(
        "match",
        "place",
        victim="player",
        killer=pl.when(by_a_player).then(pl.col("player").gather(killer)),
        moment=dice.many(seats),
    ).filter(pl.col("place") > 0)


def _largest_size_that_fits(events: pl.DataFrame, room: Sequence[int]) -> int:
    """How many players a match may have. Whoever falls first has killed nobody but players who fell before, so a match
    without its first falls is a whole match of fewer players."""
    overfull = (
        events.group_by("partition", "place")
        .len()
        .sort("place")
        .with_columns(total=pl.col("len").cum_sum().over("partition"))
        .filter(pl.col("total") > pl.lit(pl.Series(room)).gather("partition"))
    )
    return min(overfull["place"], default=_SEATS)


def _timed(events: pl.DataFrame, matches: Sequence[Match], size: int, dice: Dice) -> pl.DataFrame:
    """The events of matches of at most ``size`` players, numbered, stamped and delivered."""
    plan = pl.DataFrame(
        {
            "match": range(1, len(matches) + 1),
            "players": [min(match.players, size) for match in matches],
            "start_ms": [match.start_ms for match in matches],
            "length_ms": [match.length_ms for match in matches],
            "released_ms": [match.released_ms for match in matches],
            "ahead_ms": [match.ahead_ms for match in matches],
        }
    ).cast(pl.Int32)
    number = pl.col("players") - pl.col("place")
    # A moment takes up no more than nine tenths, so that no two falls of a match come in the same millisecond.
    at_ms = pl.col("start_ms") + pl.col("length_ms") * (number - 0.9 * pl.col("moment")) / pl.col("players")
    chance = dice.many(events.height)
    lag_ms = 50 + 3_000 * pl.lit(chance * chance)
    return (
        events.join(plan, on="match", how="left", maintain_order="left")
        .with_columns(number=number, at_ms=at_ms.cast(pl.Int32), lag_ms=lag_ms.cast(pl.Int32))
        .select(
            "partition",
            "match",
            "number",
            "event_type",
            "player",
            at_ms=pl.col("at_ms") + pl.col("ahead_ms"),
            delivered_ms=pl.max_horizontal("at_ms", "released_ms") + pl.col("lag_ms"),
        )
    )
