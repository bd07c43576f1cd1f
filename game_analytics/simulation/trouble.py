"""Faults of the simulated topic: messages that cannot be read, repeated ones, late ones.

Their shares in `Simulation` determine how many of each an hour has.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from game_analytics.simulation.dice import Dice
from game_analytics.simulation.matches import MESSAGES_PER_ELIMINATION, Match
from game_analytics.simulation.schedule import HOUR_MS, Simulation

MALFORMED: Mapping[str, tuple[bytes | None, ...]] = {
    "tombstone": (None,),
    "compressed": (
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabVJ-K\xcd+\x89/\xa9,HU\xb2R\xf2\xf6\xf4\xf1Q\xaa\x05\x00",  # gzip
    ),
    "avro_or_protobuf": (b"\x00\x00\x00\x00\x07\x08KILL\x0cp00017",),
    "not_utf8": (
        b'{"event_type":"KILL","player_id":"Jos\xe9","ts":"2025-12-30T18:07:12Z"}',  # Latin-1
        '{"event_type":"DEATH","player_id":"p00017"}'.encode("utf-16"),
    ),
    "not_json": (
        b'{"event_type":"DEATH","player_id":"p000',  # cut off
        b"",
        b"{'event_type': 'KILL', 'player_id': 'p00017'}",  # a Python dictionary
        b'{"event_type":"KILL","player_id":"p00017"}{"event_type":"DEATH","player_id":"p00023"}',
        b'{"event_type":"KILL","player_id":"p00017","inventory":' + b"[" * 100 + b"]" * 100 + b"}",
        b"<html><body>502 Bad Gateway</body></html>",
    ),
    "batch": (b'[{"event_type":"KILL","player_id":"p00017"},{"event_type":"DEATH","player_id":"p00023"}]',),
    "not_an_object": (
        b'"KILL p00017"',
        b"null",
        b"1767117600",
    ),
    "missing_event_type": (b'{"player_id":"p00017","ts":"2025-12-30T18:07:12Z"}', b"{}"),
    "bad_event_type": (
        b'{"event_type":1,"player_id":"p00017"}',
        b'{"event_type":["KILL","DEATH"],"player_id":"p00017"}',
        b'{"event_type":{"name":"KILL"},"player_id":"p00017"}',
    ),
    "missing_player_id": (b'{"event_type":"KILL","game_id":"20251230-18-007","ts":"2025-12-30T18:07:12Z"}',),
    "bad_player_id": (
        b'{"event_type":"DEATH","player_id":""}',
        b'{"event_type":"DEATH","player_id":17}',
        b'{"event_type":"KILL","player_id":"p00017\\u0000"}',
        b'{"event_type":"KILL","player_id":"\\ud83d"}',  # half an emoji
        b'{"event_type":"KILL","player_id":"' + b"p" * 129 + b'"}',
    ),
    "bad_game_id": (
        b'{"event_type":"KILL","player_id":"p00017","game_id":7}',
        b'{"event_type":"KILL","player_id":"p00017","game_id":""}',
    ),
    "bad_event_id": (
        b'{"event_type":"DEATH","player_id":"p00017","event_id":["a","b"]}',
        b'{"event_type":"DEATH","player_id":"p00017","event_id":"line\\nbreak"}',
    ),
    "bad_ts": (
        b'{"event_type":"KILL","player_id":"p00017","ts":"yesterday"}',
        b'{"event_type":"KILL","player_id":"p00017","ts":1767117}',  # digits are missing
        b'{"event_type":"DEATH","player_id":"p00017","ts":"2025-02-30T12:00:00Z"}',
        b'{"event_type":"DEATH","player_id":"p00017","ts":"30.12.2025 18:07"}',
    ),
}
"""Values that cannot be read, by the reason that quarantine gives for them."""

MALFORMED_IN_TURN = pl.Series(
    [
        samples[turn % len(samples)]
        for turn in range(max(map(len, MALFORMED.values())))
        for samples in MALFORMED.values()
    ],
    dtype=pl.Binary,
)
"""The same values in the order in which a partition gets them: each reason once before any is repeated."""

_STALLED_PLAYERS = 5
_STALLED_MS = 10 * 60_000
_STALLED_MESSAGES = (_STALLED_PLAYERS - 1) * MESSAGES_PER_ELIMINATION


def malformed(simulation: Simulation, partition: int, hour: int) -> range:
    """Which values of `MALFORMED_IN_TURN` the partition gets in the hour, as indices to be taken modulo its length."""
    first, end = simulation.first_offset(partition, hour), simulation.first_offset(partition, hour + 1)
    return _due(simulation, "malformed", partition, simulation.malformed_share, first, end)


def repeats(simulation: Simulation, partition: int, hour: int) -> int:
    """How many messages of the hour the partition delivers a second time."""
    first, end = simulation.first_offset(partition, hour), simulation.first_offset(partition, hour + 1)
    return len(_due(simulation, "repeated", partition, simulation.repeated_share, first, end))


def stalled_matches(simulation: Simulation, hour: int) -> list[Match]:
    """Small matches whose events are delivered in this hour with timestamps of another time: in turn one that is late,
    one that is very late, and one whose clock is ahead."""
    share = simulation.late_share / _STALLED_MESSAGES
    turns = _due(simulation, "late", 0, share, simulation.messages_before(hour), simulation.messages_before(hour + 1))
    dice = Dice(simulation, "stalled matches", hour)
    kinds = (_late, _very_late, _ahead)
    return [kinds[turn % len(kinds)](hour, dice) for turn in turns]


def repeated(simulation: Simulation, hour: int, events: pl.DataFrame, wanted: Sequence[int]) -> pl.DataFrame:
    """Second deliveries of random events, a second to a minute later and within the hour: ``wanted`` per partition, or
    none if it has no events."""
    dice = Dice(simulation, "repeats", hour)
    chosen: list[int] = []
    for partition, count in enumerate(wanted):
        rows = (events["partition"] == partition).arg_true()
        chosen += [rows[dice.between(0, len(rows))] for _ in range(count) if len(rows)]
    pause_ms = 1_000 + 59_000 * pl.lit(dice.many(len(chosen)))
    return events.select(pl.all().gather(pl.Series(chosen, dtype=pl.UInt32))).with_columns(
        delivered_ms=(pl.col("delivered_ms") + pause_ms.cast(pl.Int32)).clip(upper_bound=HOUR_MS - 1)
    )


def _late(_hour: int, dice: Dice) -> Match:
    """Played around the start of the hour, which may be midnight; its events are delivered later in the hour."""
    arrival_ms = dice.between(_STALLED_MS, HOUR_MS - 10_000)
    return Match(_STALLED_PLAYERS, -_STALLED_MS // 2, _STALLED_MS, released_ms=arrival_ms)


def _very_late(hour: int, dice: Dice) -> Match:
    """Ended hours before its events are delivered. In the first hours of a day it ended before midnight, so that they
    are too late for the day to which they belong."""
    arrival_ms = dice.between(0, HOUR_MS - 10_000)
    hour_of_day = hour % 24
    if hour_of_day < 6:
        end_ms = -hour_of_day * HOUR_MS - dice.between(0, HOUR_MS)
    else:
        end_ms = arrival_ms - dice.between(HOUR_MS, 6 * HOUR_MS)
    return Match(_STALLED_PLAYERS, end_ms - _STALLED_MS, _STALLED_MS, released_ms=arrival_ms)


def _ahead(_hour: int, dice: Dice) -> Match:
    """Played in the last minute of the hour, and stamped with the first minutes of the next, maybe of another day."""
    return Match(_STALLED_PLAYERS, HOUR_MS - 70_000, 60_000, ahead_ms=dice.between(90_000, 150_000))


def _due(simulation: Simulation, kind: str, number: int, share: float, first: int, end: int) -> range:
    """The numbers of the faults among messages [``first``, ``end``): in the long run exactly ``share`` of them, however
    small it is. The seed determines the number of the first fault."""
    start = Dice(simulation, f"turn of {kind}", number).one() * 1_000
    return range(int(start + first * share), int(start + end * share))
