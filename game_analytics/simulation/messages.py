"""An hour of the topic: its messages as compact columns, and as the bytes of the topic.

Combines the events of `matches` with the faults of `trouble`.
"""

from collections.abc import Sequence

import polars as pl

from game_analytics.simulation.dice import Dice
from game_analytics.simulation.matches import EVENT_TYPES, MESSAGES_PER_ELIMINATION, play, regular_matches
from game_analytics.simulation.schedule import HOUR_MS, Simulation, start_of
from game_analytics.simulation.trouble import MALFORMED_IN_TURN, malformed, repeated, repeats, stalled_matches

TIMELINE = pl.Schema(
    {
        "partition": pl.UInt8(),
        "match": pl.Int32(),
        "number": pl.Int32(),
        "event_type": EVENT_TYPES,
        "player": pl.Int32(),
        "at_ms": pl.Int32(),
        "delivered_ms": pl.Int32(),
        "malformed": pl.Int16(),
    }
)
"""One row per message of an hour, sorted by partition and delivery. ``match`` counts within the hour and ``number``
within the match; ``at_ms`` is when the event happened and ``delivered_ms`` when it was added to the log, both in
milliseconds of the hour. ``malformed`` is the index in `MALFORMED_IN_TURN` of a message that cannot be read; it has no
type, and of its other columns only partition and delivery have a meaning."""

INSTANT = pl.Datetime("ms", "UTC")

# The rest is for events that the pipeline ignores: about a tenth, since the fullest partition sets the limit.
_MATCH_SHARE = 0.93
_IGNORED = ("MATCH_START", "LOOT", "HEAL", "REVIVE", "SUPPLY_DROP")


def timeline(simulation: Simulation, hour: int) -> pl.DataFrame:
    """The messages of one hour as a `TIMELINE`; each partition has exactly as many as the schedule says."""
    partitions = range(simulation.partitions)
    broken = [malformed(simulation, partition, hour) for partition in partitions]
    again = [repeats(simulation, partition, hour) for partition in partitions]
    after_heartbeat = [simulation.messages_in(partition, hour) - 1 for partition in partitions]
    room = [
        int(_MATCH_SHARE * (size - len(turns) - count))
        for size, turns, count in zip(after_heartbeat, broken, again, strict=True)
    ]
    events = _match_events(simulation, hour, room)
    events = pl.concat([events, repeated(simulation, hour, events, again)])
    taken = dict(events["partition"].value_counts().iter_rows())
    rest = [size - taken.get(partition, 0) for partition, size in enumerate(after_heartbeat)]
    others = _other_messages(simulation, hour, rest, broken, matches=max(1, events["match"].n_unique()))
    by_partition_and_delivery = pl.col("partition").cast(pl.Int32) * HOUR_MS + pl.col("delivered_ms")
    return pl.concat([_heartbeats(simulation), events, others], how="diagonal").sort(
        by_partition_and_delivery, maintain_order=True
    )


def delivered_at(hour: int) -> pl.Expr:
    """The timestamp of a message in the log, for rows of the hour's timeline."""
    return pl.lit(start_of(hour), INSTANT) + pl.duration(milliseconds="delivered_ms", time_unit="ms")


def happened_at(hour: int) -> pl.Expr:
    """The time of a message's event, by the clock that stamped it."""
    return pl.lit(start_of(hour), INSTANT) + pl.duration(milliseconds="at_ms", time_unit="ms")


def player_id() -> pl.Expr:
    """The player as in a message: ``p00042``."""
    return pl.concat_str(pl.lit("p"), pl.col("player").cast(pl.String).str.zfill(5))


def game_id(hour: int) -> pl.Expr:
    """The match as in a message: ``20251230-13-042``."""
    return pl.concat_str(pl.lit(f"{start_of(hour):%Y%m%d-%H}-"), pl.col("match").cast(pl.String).str.zfill(3))


def event_id(hour: int) -> pl.Expr:
    """The elimination as in the messages of both players: ``20251230-13-042-17``."""
    return pl.concat_str(game_id(hour), pl.lit("-"), pl.col("number").cast(pl.String))


def value(hour: int) -> pl.Expr:
    """The value of a message as bytes; null for a tombstone."""
    event = pl.concat_str(
        pl.lit('{"event_type":"'),
        pl.col("event_type").cast(pl.String),
        pl.lit('","player_id":"'),
        player_id(),
        pl.lit('","game_id":"'),
        game_id(hour),
        pl.lit('","event_id":"'),
        event_id(hour),
        pl.lit('","ts":"'),
        happened_at(hour).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        pl.lit('"}'),
    )
    # A message that cannot be read has no event type, which makes the text above null.
    return pl.coalesce(event.cast(pl.Binary), pl.lit(MALFORMED_IN_TURN).gather("malformed"))


def _match_events(simulation: Simulation, hour: int, room: Sequence[int]) -> pl.DataFrame:
    """The kills and deaths of the hour, as `play` returns them."""
    stalled = stalled_matches(simulation, hour)
    eliminations = int(sum(room) / MESSAGES_PER_ELIMINATION) - sum(match.players - 1 for match in stalled)
    return play(simulation, hour, [stalled, *regular_matches(simulation, hour, eliminations)], room)


def _heartbeats(simulation: Simulation) -> pl.DataFrame:
    """One message per partition at the start of the hour, so that look-ups of that time need no timeline."""
    partition, zero = pl.int_range(simulation.partitions, dtype=pl.Int32), pl.lit(0, pl.Int32)
    return pl.select(
        partition=partition.cast(pl.UInt8),
        match=zero,
        number=partition,
        event_type=pl.lit("HEARTBEAT", EVENT_TYPES),
        player=partition,
        at_ms=zero,
        delivered_ms=zero,
    )


def _other_messages(
    simulation: Simulation, hour: int, counts: Sequence[int], broken: Sequence[range], matches: int
) -> pl.DataFrame:
    """``counts`` messages for each partition, of random players and times: those of ``broken``, and events that the
    pipeline ignores."""
    dice = Dice(simulation, "other messages", hour)
    total = sum(counts)
    partition = pl.Series([p for p, count in enumerate(counts) for _ in range(count)], dtype=pl.UInt8)
    players = pl.Series([simulation.partition_players(p) for p in range(simulation.partitions)], dtype=pl.Int32)
    nth_player = dice.many_below(players.gather(partition), total)
    at_ms = dice.many_below(HOUR_MS - 5_000, total)
    return pl.DataFrame(
        {
            "partition": partition,
            "match": 1 + dice.many_below(matches, total),
            "number": 1_000 + pl.int_range(total, dtype=pl.Int32, eager=True),  # no elimination has such a number
            "event_type": pl.Series(_IGNORED, dtype=EVENT_TYPES).gather(dice.many_below(len(_IGNORED), total)),
            "player": nth_player * simulation.partitions + partition.cast(pl.Int32),
            "at_ms": at_ms,
            "delivered_ms": at_ms + 50 + dice.many_below(3_000, total),
            "malformed": pl.Series(_malformed_or_not(counts, broken), dtype=pl.Int16),
        }
    ).with_columns(event_type=pl.when(pl.col("malformed").is_null()).then("event_type"))


def _malformed_or_not(counts: Sequence[int], broken: Sequence[range]) -> list[int | None]:
    """For each message of each partition the index in `MALFORMED_IN_TURN`, or None if it can be read."""
    indices: list[int | None] = []
    for count, turns in zip(counts, broken, strict=True):
        indices += [turn % len(MALFORMED_IN_TURN) for turn in turns]
        indices += [None] * (count - len(turns))
    return indices
