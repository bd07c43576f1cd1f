"""Batches of messages, and the class that the rules gave each message, in order."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime

import polars as pl

from game_analytics.rules.events import classify
from game_analytics.sources.event_log import MESSAGES
from game_analytics.sources.formats.json import decode
from game_analytics_tests.support.reference_decoder import Fate, Ignored, Landed, OtherDay, Quarantined

JSON = decode

DAY = date(2025, 12, 30)
PARTITION = 3
FIRST_OFFSET = 1_000
NOON_MS = 1_767_096_000_000
"""12:00 of the day, in UTC."""


def kill(**fields: object) -> bytes:
    """A valid ``KILL`` with these fields added or replaced."""
    return json.dumps({"event_type": "KILL", "player_id": "p00017", **fields}, ensure_ascii=False).encode()


def kill_with(members: str) -> bytes:
    """A valid ``KILL`` with this JSON inserted verbatim."""
    return f'{{"event_type":"KILL","player_id":"p00017",{members}}}'.encode()


def batch(values: Sequence[bytes | None], delivered_ms: Sequence[int | None] | None = None) -> pl.DataFrame:
    """The values as consecutive messages of one partition, delivered at noon by default."""
    return pl.DataFrame(
        {
            "kafka_offset": range(FIRST_OFFSET, FIRST_OFFSET + len(values)),
            "kafka_timestamp": [NOON_MS] * len(values) if delivered_ms is None else delivered_ms,
            "value": values,
        },
        schema={"kafka_offset": pl.Int64, "kafka_timestamp": pl.Int64, "value": pl.Binary},
    ).cast(MESSAGES)


def fates(
    values: Sequence[bytes | None], delivered_ms: Sequence[int | None] | None = None, day: date = DAY
) -> list[Fate]:
    """The class of each message, after checking that each comes out exactly once, with its offset, bytes and
    timestamp."""
    messages = batch(values, delivered_ms)
    sorted_out = classify(messages, PARTITION, day, decode=JSON)
    landed = sorted_out.landed.with_columns(pl.col("event_time").cast(pl.Int64))
    other_days = sorted_out.other_days.with_columns(pl.col("day").cast(pl.Int32))
    quarantined = _with_numbers(sorted_out.quarantined)
    received = {offset: (value, timestamp) for offset, timestamp, value in _with_numbers(messages).iter_rows()}

    found: list[tuple[int, Fate]] = []
    for time_us, player, event_type, game, event, partition, offset in landed.iter_rows():
        assert partition == PARTITION
        found.append((offset, Landed(time_us, player, event_type, game, event)))
    for reason, value, partition, offset, timestamp in quarantined.iter_rows():
        assert (partition, value, timestamp) == (PARTITION, *received[offset])
        found.append((offset, Quarantined(reason)))
    found += [(offset, OtherDay(own_day)) for own_day, offset in other_days.iter_rows()]

    by_offset = dict(found)
    assert len(by_offset) == len(found)
    assert set(by_offset) <= set(received)
    assert sorted_out.ignored.height == len(values) - len(found)
    return [by_offset.get(offset, Ignored()) for offset in received]


def _with_numbers(rows: pl.DataFrame) -> pl.DataFrame:
    """With the timestamp in milliseconds, as in Kafka, since no calendar covers all values."""
    return rows.with_columns(pl.col("kafka_timestamp").cast(pl.Int64))


def words(values: Sequence[bytes | None]) -> list[str]:
    """The class of each message of a batch, or its reason for quarantine."""
    return [word(found) for found in fates(values)]


def fate(value: bytes | None) -> str:
    """The same for a single message."""
    return words([value])[0]


def word(found: Fate) -> str:
    match found:
        case Quarantined(reason):
            return reason
        case Ignored():
            return "ignored"
        case OtherDay():
            return "other day"
        case Landed():
            return "landed"


def event_time(found: Fate) -> datetime:
    """When a landed event happened."""
    assert isinstance(found, Landed)
    seconds, microseconds = divmod(found.event_time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def shown(value: object) -> str:
    """A sample as a test id."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]}...{len(text)} characters"
