"""One slice of one partition: read, decoded and stored as immutable objects.

A slice is the unit of work, of retry and of parallelism: it needs neither the other slices nor Dagster, and what goes
in and comes out can be pickled.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from game_analytics.landing.window import Range
from game_analytics.layout import slice_key
from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake, to_parquet
from game_analytics.rules.events import QUARANTINED, RAW_EVENTS, classify
from game_analytics.rules.manifest import LandedObject, ObjectKind, Unbalanced

MAX_SLICE = 250_000
"""Offsets in a slice."""
MAX_BATCH = 50_000
"""Messages decoded at once."""
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Bytes of message values decoded at once."""


@dataclass(frozen=True)
class Slice:
    """The offsets ``first`` up to but without ``end`` of one partition, read for one day."""

    day: date
    partition: int
    first: int
    end: int


@dataclass(frozen=True)
class SliceReport:
    """What became of a slice's messages. Counts are of messages."""

    slice: Slice
    read: int
    landed: int
    ignored: int
    quarantined: int
    objects: list[LandedObject]
    other_days: pl.DataFrame
    """``day`` and ``kafka_offset`` of each good event of another day."""
    reasons: dict[str, int]
    samples: dict[str, bytes | None]
    """One quarantined message for each reason, as received."""


def cut(day: date, ranges: list[Range], size: int = MAX_SLICE) -> Iterator[Slice]:
    """The slices of a day, each at most ``size`` offsets, always cut at the same places for the same ranges."""
    for span in ranges:
        for first in range(span.first, span.end, size):
            yield Slice(day, span.partition, first, min(first + size, span.end))


def land_slice(log: EventLog, lake: Lake, piece: Slice) -> SliceReport:
    """Read a slice and store what belongs to its day, and what could not be read, one object each if there is any."""
    read = ignored = 0
    landed, quarantined, other_days = [], [], []
    batches = log.read(piece.partition, piece.first, piece.end, max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES)
    expected = piece.first
    for messages in filter(len, batches):
        expected = _ensure_in_order(piece, messages, expected)
        sorted_out = classify(messages, piece.partition, piece.day)
        read += messages.height
        ignored += sorted_out.ignored
        landed.append(sorted_out.landed)
        quarantined.append(sorted_out.quarantined)
        other_days.append(sorted_out.other_days)
    events = pl.concat([RAW_EVENTS.to_frame(), *landed])
    refused = pl.concat([QUARANTINED.to_frame(), *quarantined])
    return SliceReport(
        slice=piece,
        read=read,
        landed=events.height,
        ignored=ignored,
        quarantined=refused.height,
        objects=[*_store(lake, "raw", piece, events), *_store(lake, "quarantine", piece, refused)],
        other_days=pl.concat([pl.DataFrame(schema={"day": pl.Date, "kafka_offset": pl.Int64}), *other_days]),
        reasons=dict(refused.group_by("reason").len().iter_rows()),
        samples=dict(refused.group_by("reason", maintain_order=True).first().select("reason", "value").iter_rows()),
    )


def _ensure_in_order(piece: Slice, messages: pl.DataFrame, expected: int) -> int:
    """Raises `Unbalanced` if the log delivers an offset twice, or one that was not asked for: a gap could hide that
    from the account. Returns the lowest offset that may come next."""
    offsets = messages["kafka_offset"]
    first, last = offsets.item(0), offsets.item(-1)
    if not expected <= first <= last < piece.end or not (offsets.diff().drop_nulls() > 0).all():
        raise Unbalanced(
            f"{piece.day}, partition {piece.partition}: offsets {expected} to {piece.end - 1} were expected in "
            f"order, and the log delivered {first} to {last}, some twice or out of order. Nothing was committed. Land "
            "the day again; if it stays so, report it."
        )
    return int(last) + 1


def _store(lake: Lake, kind: ObjectKind, piece: Slice, rows: pl.DataFrame) -> list[LandedObject]:
    if rows.is_empty():
        return []
    body = to_parquet(rows)
    sha256_hex = hashlib.sha256(body).hexdigest()
    key = slice_key(kind, piece.day, piece.partition, piece.first, piece.end, sha256_hex)
    lake.put(key, body)
    return [LandedObject(key, kind, rows.height)]
