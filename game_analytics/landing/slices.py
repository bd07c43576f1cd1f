"""One slice of one partition: read, decoded, classified, and stored as immutable objects.

A slice is the unit of work, of retry and of parallelism: it depends on no other slice, and its input and report can be
pickled.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

import polars as pl

from game_analytics.engines.engine import Work
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.manifest import LandedObject, ObjectKind, Unbalanced
from game_analytics.lake.names import slice_key
from game_analytics.landing.kept_schemas import LakeSchemas
from game_analytics.landing.offsets import EVERYTHING, NOTHING, Offsets
from game_analytics.landing.plan import Range
from game_analytics.rules.events import TYPE_NAMES, Classified, Decode, classify
from game_analytics.sources.event_log import EventLog, Reader
from game_analytics.sources.formats.format import Format
from game_analytics.sources.formats.json import JSON, decode

MAX_SLICE = 250_000
"""Offsets in a slice, unless configured."""
MAX_BATCH = 50_000
"""Messages decoded at once."""
MAX_BATCH_BYTES = 32 * 1024 * 1024
"""Bytes of message values decoded at once, and kept before they are written: this bounds a slice's memory."""

COUNTS = ("read", "landed", "ignored", "other_days", "quarantined")
"""The classes that messages are counted by, and all that were read."""

MAX_TYPES = 1_000
"""Ignored types that are counted one by one, in a slice and in a day. A broken producer may invent millions."""

OTHER_TYPES = "(further types)"
"""Stands for all beyond `MAX_TYPES`."""

_TYPE_CHARACTERS = 128

STRAYS = pl.Schema({"day": pl.Date(), "kafka_offset": pl.Int64()})
"""Good events of other days: one row each."""


@dataclass(frozen=True)
class Reading:
    """How messages are read: their format, and the names of event types in them."""

    format: Format = JSON
    names: Mapping[str, str] = field(default_factory=lambda: dict(TYPE_NAMES))
    """As `rules.events.TYPE_NAMES`."""


AS_JSON = Reading()


@dataclass(frozen=True)
class Slice:
    """The offsets ``first`` up to but without ``end`` of one partition, read for one day."""

    day: date
    partition: int
    first: int
    end: int
    own: Offsets = EVERYTHING
    """The day's own offsets; beyond them the slice is read for late events."""
    read_before: Offsets = NOTHING
    """What the committed landing has read."""
    elsewhere: tuple[Offsets, ...] = ()
    """Offsets whose unreadable messages are in the quarantine of other days."""

    def __str__(self) -> str:
        return f"{self.day}, partition {self.partition}, offsets {self.first} to {self.end - 1}"


@dataclass
class SliceReport:
    """A landed slice. Counts are of messages."""

    slice: Slice
    read: int = 0
    landed: int = 0
    ignored: int = 0
    left: int = 0
    """Unreadable messages that are in the quarantine of another day."""
    read_again: int = 0
    """Messages at the offsets that the committed landing has read."""
    own: Counter[str] = field(default_factory=Counter)
    """Messages in the day's own offsets, by `COUNTS`."""
    objects: list[LandedObject] = field(default_factory=list)
    strays: pl.DataFrame = field(default_factory=STRAYS.to_frame)
    """Events of other days, by the schema `STRAYS`."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Quarantined messages by reason."""
    samples: dict[str, bytes | None] = field(default_factory=dict)
    """The first quarantined message of each reason, as received."""
    landed_types: Counter[str] = field(default_factory=Counter)
    """Landed events by type."""
    ignored_types: Counter[str] = field(default_factory=Counter)
    """Ignored messages in the day's own offsets by type; the beginnings of long names, and `OTHER_TYPES`."""
    times: Counter[str] = field(default_factory=Counter)
    """Valid events whose ``ts`` is a text, by `rules.events.TIMES`."""

    @property
    def other_days(self) -> int:
        return self.strays.height + self.left

    @property
    def quarantined(self) -> int:
        return self.reasons.total()


def cut(
    day: date,
    ranges: list[Range],
    size: int = MAX_SLICE,
    elsewhere: Mapping[int, tuple[Offsets, ...]] = MappingProxyType({}),
) -> Iterator[Slice]:
    """The slices of a day, at most ``size`` offsets each, cut at the same offsets for the same ranges. ``elsewhere``:
    by partition, offsets whose unreadable messages are in the quarantine of other days."""
    for span in ranges:
        for first in range(span.first, span.end, size):
            end = min(first + size, span.end)
            yield Slice(day, span.partition, first, end, span.own, span.read_before, elsewhere.get(span.partition, ()))


@dataclass(frozen=True)
class Shared:
    """What all slices of a landing share."""

    log: EventLog
    lake: Lake
    day: date
    reading: Reading


@contextmanager
def slice_landing(shared: Shared) -> Iterator[Work[Slice, SliceReport]]:
    """`land_slice` as an engine's task: each worker opens one reader and one decoder for all of its slices."""
    format_, names = shared.reading.format, shared.reading.names
    with (
        shared.log.reader(format_.on_request) as reader,
        format_.opened(LakeSchemas(shared.lake, shared.day)) as decode_messages,
    ):
        yield lambda slice_, progress: land_slice(
            reader, shared.lake, slice_, progress, decode=decode_messages, names=names
        )


def land_slice(
    log: Reader,
    lake: Lake,
    slice_: Slice,
    tell: Callable[[int], None] = lambda _messages: None,
    *,
    decode: Decode = decode,
    names: Mapping[str, str] = TYPE_NAMES,
) -> SliceReport:
    """Read a slice, and store the events of its day and the unreadable messages: one object each, if there are any;
    more for more than 32 MiB of messages, which bounds the memory.

    ``tell`` receives the number of messages of each batch, and 0 while waiting for the log. Raises `Unbalanced` if the
    log delivers offsets twice or out of order, and what the log and the lake raise.
    """
    report = SliceReport(slice_)
    events, refused = _Store(lake, "raw", report), _Store(lake, "quarantine", report)
    strays = []
    kept_bytes = 0
    expected = slice_.first
    batches = log.read(slice_.partition, slice_.first, slice_.end, max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES)
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
        expected = _ensure_in_order(slice_, messages, expected)
        classified = classify(messages, slice_.partition, slice_.day, decode, names)
        kept = _without_those_elsewhere(slice_, classified.quarantined)
        events.add(classified.landed)
        refused.add(kept)
        strays.append(classified.other_days)
        report.read += messages.height
        report.landed += classified.landed.height
        report.ignored += classified.ignored.height
        report.left += classified.quarantined.height - kept.height
        report.read_again += _count(slice_, slice_.read_before, messages)
        report.own.update(_own_counts(slice_, messages, classified, kept))
        _note_reasons(report, kept)
        _note_types(report, classified, set(names.values()))
        report.times.update(classified.times)
    events.write(upto=slice_.end)
    refused.write(upto=slice_.end)
    report.strays = pl.concat([report.strays, *strays])
    return report


def _without_those_elsewhere(slice_: Slice, refused: pl.DataFrame) -> pl.DataFrame:
    """The unreadable messages that are in no other day's quarantine."""
    for offsets in slice_.elsewhere:
        is_elsewhere = offsets.contains(refused["kafka_offset"]) & ~slice_.own.contains(refused["kafka_offset"])
        refused = refused.filter(~is_elsewhere)
    return refused


def _count(slice_: Slice, offsets: Offsets, rows: pl.DataFrame) -> int:
    """How many of the slice's messages are at these offsets."""
    if offsets.covers(slice_.first, slice_.end):
        return rows.height
    return int(offsets.contains(rows["kafka_offset"]).sum())


def _own_counts(slice_: Slice, messages: pl.DataFrame, classified: Classified, kept: pl.DataFrame) -> Counter[str]:
    """`COUNTS` of the messages of a batch that are in the day's own offsets."""
    read = _count(slice_, slice_.own, messages)
    landed = _count(slice_, slice_.own, classified.landed)
    other_days = _count(slice_, slice_.own, classified.other_days)
    quarantined = _count(slice_, slice_.own, kept)
    ignored = read - landed - other_days - quarantined  # within its own offsets a day leaves no message to other days
    return Counter(read=read, landed=landed, ignored=ignored, other_days=other_days, quarantined=quarantined)


def store(lake: Lake, kind: ObjectKind, slice_: Slice, rows: pl.DataFrame) -> LandedObject:
    """Store rows of a slice as one Parquet object, named by its content."""
    body = to_parquet(rows)
    sha256_hex = hashlib.sha256(body).hexdigest()
    key = slice_key(kind, slice_.day, slice_.partition, slice_.first, slice_.end, sha256_hex)
    lake.put(key, body)
    return LandedObject(key, kind, rows.height, len(body))


class _Store:
    """Collects rows of one kind until they are written as one object."""

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
        """Store the collected rows, if any, as one object for the offsets since the last one, up to but without
        ``upto``."""
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


def _note_types(report: SliceReport, classified: Classified, types: Collection[str]) -> None:
    slice_, ignored = report.slice, classified.ignored
    landed = classified.landed["event_type"]
    report.landed_types.update({name: int((landed == name).sum()) for name in types})
    if not slice_.own.covers(slice_.first, slice_.end):
        ignored = ignored.filter(slice_.own.contains(ignored["kafka_offset"]))
    names = ignored["event_type"].str.head(_TYPE_CHARACTERS).value_counts(sort=True)
    add_types(report.ignored_types, dict(names.iter_rows()))


def add_types(types: Counter[str], more: Mapping[str, int]) -> None:
    """Add to counts by type. The `MAX_TYPES` most frequent ones keep a count of their own."""
    types.update(more)
    if len(types) > MAX_TYPES + 1:
        others = types.pop(OTHER_TYPES, 0) + types.total()
        kept = dict(most_first(types)[:MAX_TYPES])
        types.clear()
        types.update(kept)
        types[OTHER_TYPES] = others - sum(kept.values())


def most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Names with their counts, the most first; by name where counts are equal."""
    return sorted(counts.items(), key=lambda of_name: (-of_name[1], of_name[0]))


def _ensure_in_order(slice_: Slice, messages: pl.DataFrame, expected: int) -> int:
    """Raises `Unbalanced` if the log delivers an offset twice or outside the slice: together with a gap, the account
    would still balance. Returns the lowest offset that may come next."""
    offsets = messages["kafka_offset"]
    first, last = offsets.item(0), offsets.item(-1)
    if not expected <= first <= last < slice_.end or not (offsets.diff().drop_nulls() > 0).all():
        raise Unbalanced(
            f"{slice_.day}, partition {slice_.partition}: offsets {expected} to {slice_.end - 1} were expected in "
            f"order, and the log delivered {first} to {last}, some twice or out of order. Nothing was committed. Land "
            "the day again; if that fails too, report it as a bug."
        )
    return int(last) + 1
