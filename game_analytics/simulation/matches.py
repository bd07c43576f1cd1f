"""Battle royale: who plays in a match, who is eliminated in which order, by whom and when.

All matches of an hour are computed together, in columns. Times are milliseconds since the start of the hour.
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
"""A death, and a kill unless it was by the storm."""

_STORM = 0.1

# An hour has so many matches that none needs more eliminations than this. They start with more seats, and all are then
# cut to the same size, about 100 players, that fills the hour best.
_ELIMINATIONS = 110
_SEATS = 120
_WAVES = 3
_WAVE_MS = 20 * 60_000


class Match(NamedTuple):
    """The plan of a match."""

    players: int
    """At most; fewer if the hour has no room for all messages."""
    start_ms: int
    length_ms: int
    released_ms: int = 0
    """No message is delivered before this time."""
    ahead_ms: int = 0
    """How far the clock that stamps its events is ahead."""


def regular_matches(simulation: Simulation, hour: int, eliminations: int) -> list[list[Match]]:
    """Matches with about so many eliminations, in three waves of 20 minutes that end before the hour does."""
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
    """Play the matches, cut to a size with which no partition gets more messages than its ``room``. Those of a wave
    have equally many players, and no player is in two of them.

    One row per KILL and per DEATH: ``partition``, ``match`` (from 1), ``number`` (of the elimination in its match,
    from 1), ``event_type``, ``player``, ``at_ms`` (as its clock stamps it), ``delivered_ms``.
    """
    dice = Dice(simulation, "matches", hour)
    eliminations = _eliminations(_standings(_rosters(simulation, waves, dice), dice), dice)
    deaths = eliminations.select("match", "place", "moment", player="victim", event_type=pl.lit("DEATH", EVENT_TYPES))
    kills = eliminations.select("match", "place", "moment", player="killer", event_type=pl.lit("KILL", EVENT_TYPES))
    events = pl.concat([deaths, kills.drop_nulls("player")]).with_columns(
        partition=(pl.col("player") % simulation.partitions).cast(pl.UInt8)
    )
    size = _largest_size_that_fits(events, room)
    return _timed(events.filter(pl.col("place") < size), list(chain.from_iterable(waves)), size, dice)


@lru_cache(maxsize=4)
def _players(simulation: Simulation) -> pl.DataFrame:
    """One row per player, by number: ``player``, ``skill`` (0 to 1, mostly near 0.5), ``activity`` (0.3 to 1)."""
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
    """One row per seat: ``match``, ``player``, ``skill``. Active players play more often."""
    everyone = _players(simulation)
    luck = dice.many(everyone.height)
    seated = [everyone.clear()]
    matches: list[int] = []
    first_match = 1
    for wave in filter(None, waves):
        # One draw an hour is enough: from wave to wave, each player's number moves on by a quarter.
        luck = (luck + 0.25) % 1
        patience = luck / everyone["activity"]
        players = wave[0].players
        seats = len(wave) * players
        seated.append(everyone.filter(patience <= patience.bottom_k(seats).max()).head(seats))
        # Skill does not depend on a player's number, so they are dealt to the matches in that order.
        matches += [*range(first_match, first_match + len(wave))] * players
        first_match += len(wave)
    return pl.concat(seated).with_columns(match=pl.Series(matches, dtype=pl.Int32))


def _standings(rosters: pl.DataFrame, dice: Dice) -> pl.DataFrame:
    """The rosters sorted by match, with ``place``: how many players are left when this one is out; 0 for the winner."""
    fortune = dice.many(rosters.height) + 0.8 * rosters["skill"]
    by_match_and_fortune = 2 * rosters["match"] - fortune  # fortune is always below 2
    return rosters.sort(by_match_and_fortune).with_columns(
        place=pl.int_range(pl.len(), dtype=pl.Int32).over("match"),
    )


def _eliminations(standings: pl.DataFrame, dice: Dice) -> pl.DataFrame:
    """One row per elimination: ``match``, ``place``, ``victim``, ``killer`` (one of those left; null for the storm),
    ``moment`` (0 to 1, within the time since the previous elimination)."""
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
    """How many players a match may have. The first ones eliminated have killed only players eliminated before them, so
    a match without its first eliminations is a complete match of fewer players."""
    overfull = (
        events.group_by("partition", "place")
        .len()
        .sort("place")
        .with_columns(total=pl.col("len").cum_sum().over("partition"))
        .filter(pl.col("total") > pl.lit(pl.Series(room)).gather("partition"))
    )
    return min(overfull["place"], default=_SEATS)


def _timed(events: pl.DataFrame, matches: Sequence[Match], size: int, dice: Dice) -> pl.DataFrame:
    """The events of matches of at most ``size`` players, with number, time and delivery."""
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
    # Nine tenths at most, so that no two eliminations of a match get the same millisecond.
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
