"""One slice of one partition: read, decoded and stored as immutable objects.

A slice is the unit of work, of retry and of parallelism: it needs neither the other slices nor Dagster, and what goes
in and comes out can be pickled.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl

from game_analytics.engines.engine import Work
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.manifest import LandedObject, ObjectKind, Unbalanced
from game_analytics.lake.names import slice_key
from game_analytics.landing.offsets import EVERYTHING, NOTHING, Offsets
from game_analytics.landing.plan import Range
from game_analytics.rules.events import Classified, classify
from game_analytics.sources.event_log import EventLog, Reader
from game_analytics.sources.formats.format import Format
from game_analytics.sources.formats.json import JSON

MAX_SLICE = 250_000
"""Offsets in a slice, unless configured."""
MAX_BATCH = 50_000
"""Messages decoded at once."""
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Bytes of message values decoded at once, and kept before they are written: what a slice needs of memory."""

COUNTS = ("read", "landed", "ignored", "other_days", "quarantined")
"""What is counted of messages."""

STRAYS = pl.Schema({"day": pl.Date(), "kafka_offset": pl.Int64()})
"""Good events of other days: one row each."""


@dataclass(frozen=True)
class Slice:
    """The offsets ``first`` up to but without ``end`` of one partition, read for one day."""

    day: date
    partition: int
    first: int
    end: int
    own: Offsets = EVERYTHING
    """What belongs to the day itself; beyond that the slice is read to heal the day."""
    known: Offsets = NOTHING
    """What the standing landing has read."""
    held: tuple[Offsets, ...] = ()
    """Where the landings of other days keep what can't be read."""

    def __str__(self) -> str:
        return f"{self.day}, partition {self.partition}, offsets {self.first} to {self.end - 1}"


@dataclass
class SliceReport:
    """What became of a slice's messages. Counts are of messages."""

    slice: Slice
    read: int = 0
    landed: int = 0
    ignored: int = 0
    left: int = 0
    """Messages that can't be read and are in the quarantine of another day."""
    known_read: int = 0
    """Messages of the offsets that the standing landing has read."""
    own: Counter[str] = field(default_factory=Counter)
    """`COUNTS` of the messages that belong to the day itself."""
    objects: list[LandedObject] = field(default_factory=list)
    strays: pl.DataFrame = field(default_factory=STRAYS.to_frame)
    """Of `STRAYS`: the events of other days."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How many were quarantined for each."""
    samples: dict[str, bytes | None] = field(default_factory=dict)
    """The first quarantined message of each reason, as received."""

    @property
    def other_days(self) -> int:
        return self.strays.height + self.left

    @property
    def quarantined(self) -> int:
        return self.reasons.total()


def cut(
    day: date, ranges: list[Range], size: int = MAX_SLICE, held: Mapping[int, tuple[Offsets, ...]] | None = None
) -> Iterator[Slice]:
    """The slices of a day, each at most ``size`` offsets, always cut at the same places for the same ranges. ``held``
    tells by partition where other days keep what can't be read."""
    for span in ranges:
        elsewhere = (held or {}).get(span.partition, ())
        for first in range(span.first, span.end, size):
            end = min(first + size, span.end)
            yield Slice(day, span.partition, first, end, span.own, span.known, elsewhere)


@contextmanager
def slice_landing(shared: tuple[EventLog, Format, Lake]) -> Iterator[Work[Slice, SliceReport]]:
    """`land_slice` as a task of an engine: a worker keeps its reader from slice to slice."""
    log, messages_format, lake = shared
    with log.reader() as reader:
        yield lambda piece, progress: land_slice(reader, lake, piece, progress, messages_format)


def land_slice(
    log: Reader,
    lake: Lake,
    piece: Slice,
    tell: Callable[[int], None] = lambda _messages: None,
    messages_format: Format = JSON,
) -> SliceReport:
    """Read a slice and store what belongs to its day and what could not be read: one object each if there is any, or
    more where more than 32 MiB of messages are read, since no more than that is kept in memory.

    ``tell`` is given the number of messages of each batch, 0 while the log is waited for.
    """
    report = SliceReport(piece)
    events, refused = _Store(lake, "raw", report), _Store(lake, "quarantine", report)
    strays = []
    kept_bytes = 0
    expected = piece.first
    batches = log.read(piece.partition, piece.first, piece.end, max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES)
    for messages in batches:
        tell(messages.height)
        if messages.is_empty():
            continue
        batch_bytes = int(messages["value"].bin.size().sum())
        if kept_bytes + batch_bytes > MAX_BATCH_BYTES:
            events.write(upto=expected)
            refused.write(upto=expected)
            kept_bytes = 0
        kept_bytes += batch_bytes
        expected = _ensure_in_order(piece, messages, expected)
        sorted_out = classify(messages, piece.partition, piece.day, messages_format.decode)
        kept = _not_held_elsewhere(piece, sorted_out.quarantined)
        events.add(sorted_out.landed)
        refused.add(kept)
        strays.append(sorted_out.other_days)
        report.read += messages.height
        report.landed += sorted_out.landed.height
        report.ignored += sorted_out.ignored
        report.left += sorted_out.quarantined.height - kept.height
        report.known_read += _count(piece, piece.known, messages)
        report.own.update(_own_counts(piece, messages, sorted_out, kept))
        _note_reasons(report, kept)
    events.write(upto=piece.end)
    refused.write(upto=piece.end)
    report.strays = pl.concat([report.strays, *strays])
    return report


def _not_held_elsewhere(piece: Slice, refused: pl.DataFrame) -> pl.DataFrame:
    """Those of the messages that can't be read which no other day's quarantine holds."""
    for offsets in piece.held:
        elsewhere = offsets.hold(refused["kafka_offset"]) & ~piece.own.hold(refused["kafka_offset"])
        refused = refused.filter(~elsewhere)
    return refused


def _count(piece: Slice, offsets: Offsets, rows: pl.DataFrame) -> int:
    """How many of these messages of the slice lie at the offsets."""
    if offsets.hold_all(piece.first, piece.end):
        return rows.height
    return int(offsets.hold(rows["kafka_offset"]).sum())


def _own_counts(piece: Slice, messages: pl.DataFrame, sorted_out: Classified, kept: pl.DataFrame) -> Counter[str]:
    """`COUNTS` of a batch, without what lies beyond the day's own offsets."""
    read = _count(piece, piece.own, messages)
    landed = _count(piece, piece.own, sorted_out.landed)
    other_days = _count(piece, piece.own, sorted_out.other_days)
    quarantined = _count(piece, piece.own, kept)
    ignored = read - landed - other_days - quarantined  # in its own offsets a day leaves nothing to others
    return Counter(read=read, landed=landed, ignored=ignored, other_days=other_days, quarantined=quarantined)


def store(lake: Lake, kind: ObjectKind, piece: Slice, rows: pl.DataFrame) -> LandedObject:
    """Put what is kept of a slice as one object, which is named by its content."""
    body = to_parquet(rows)
    sha256_hex = hashlib.sha256(body).hexdigest()
    key = slice_key(kind, piece.day, piece.partition, piece.first, piece.end, sha256_hex)
    lake.put(key, body)
    return LandedObject(key, kind, rows.height, len(body))


class _Store:
    """Rows of one kind, gathered until they are written as one object."""

    def __init__(self, lake: Lake, kind: ObjectKind, report: SliceReport) -> None:
        self._lake = lake
        self._kind = kind
        self._report = report
        self._first = report.slice.first
        self._rows: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        if rows.height:
            self._rows.append(rows)

    def write(self, upto: int) -> None:
        """Store what was gathered, if anything, as the object of the offsets below ``upto`` that no object has yet."""
        if self._rows:
            rows = pl.concat(self._rows)
            self._rows = []
            part = replace(self._report.slice, first=self._first, end=upto)
            self._report.objects.append(store(self._lake, self._kind, part, rows))
        self._first = upto


def _note_reasons(report: SliceReport, refused: pl.DataFrame) -> None:
    by_reason = refused.group_by("reason", maintain_order=True).agg(pl.len(), pl.first("value"))
    for reason, count, sample in by_reason.iter_rows():
        report.reasons[reason] += count
        report.samples.setdefault(reason, sample)


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
