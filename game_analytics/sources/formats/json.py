"""JSON in UTF-8, by RFC 8259. The values of fields are judged in `rules.events`."""

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import NoneType

import msgspec
import polars as pl

from game_analytics.rules.events import Decode
from game_analytics.sources.formats.format import Format, KeptSchemas
from game_analytics.sources.formats.frame import first_bytes_fault, unframed

MAX_NESTING = 64

_CHUNK = 2_000
"""Messages whose fields are Python objects at the same time. So few stay in the processor's cache until they become
columns, which halves the time."""


class _Number(str):
    """A JSON number as it is written."""


class _Fields(msgspec.Struct, gc=False):
    """The fields that are read, as the fast decoder fills them. Absent and null are the same."""

    event_type: str | None = None
    player_id: str | None = None
    game_id: str | None = None
    event_id: str | None = None
    ts: str | int | float | None = None
    """A `float` only until `_decode_strictly` has read the number as it is written."""


_NO_NUMBER = {str, NoneType}
_NO_FIELDS = _Fields()
_decode_fast = msgspec.json.Decoder(_Fields).decode
# Errors of the fast decoder: the strict one then decides.
_UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class JsonFormat(Format):
    """One JSON object per message (RFC 8259), UTF-8, its fields by name.

    A byte order mark, Schema Registry framing and Kafka Connect's envelope around the object are removed.
    """

    def opened(self, kept: KeptSchemas) -> AbstractContextManager[Decode]:  # noqa: ARG002 - JSON has no schemas
        return nullcontext(decode)


JSON = JsonFormat()


def decode(messages: pl.DataFrame) -> pl.DataFrame:
    """`FIELDS` of each message by its ``value``, in order. A field of a wrong type becomes the empty string, which
    every rule refuses, so that the rules alone decide on the reason."""
    return decode_values(messages["value"])


def decode_values(values: pl.Series) -> pl.DataFrame:
    """`FIELDS` of these values (bytes or null), in order."""
    starts = range(0, max(1, len(values)), _CHUNK)
    chunks = [_decode_chunk(values[start : start + _CHUNK]) for start in starts]
    return pl.concat(chunks, how="diagonal", rechunk=True)


def _decode_chunk(chunk: pl.Series) -> pl.DataFrame:
    values = chunk.to_list()
    others = (~chunk.bin.starts_with(b"{").fill_null(value=False)).arg_true().to_list()
    for index in others:
        values[index] = unframed(values[index])
    faults: list[str | None] = [None] * len(values)
    for index, fault in _hidden_faults(values, others).items():
        values[index], faults[index] = b"{}", fault
    fields: list[_Fields] = []
    waiting = iter(values)
    while len(fields) < len(values):
        try:
            fields.extend(map(_decode_fast, waiting))
        except _UNSURE:  # those before it have their fields
            fields.append(_judged(values, faults, len(fields)))
    event_types = pl.Series([row.event_type for row in fields], dtype=pl.String)
    if event_types.null_count() > len(values) - faults.count(None):
        for index, row in enumerate(fields):
            if row.event_type is None and faults[index] is None:  # perhaps it is in an envelope
                fields[index] = _judged(values, faults, index)
        event_types = pl.Series([row.event_type for row in fields], dtype=pl.String)
    return pl.DataFrame(
        {
            "fault": pl.Series(faults, dtype=pl.String),
            "event_type": event_types,
            "player_id": pl.Series([row.player_id for row in fields], dtype=pl.String),
            "game_id": pl.Series([row.game_id for row in fields], dtype=pl.String),
            "event_id": pl.Series([row.event_id for row in fields], dtype=pl.String),
            **_times(values, fields),
        }
    )


def _time_as_written(value: bytes) -> str:
    """The number that the fast decoder has read as `float`."""
    judged = _decode_strictly(value)
    return str(judged.ts if isinstance(judged, _Fields) else "")


def _judged(values: Sequence[bytes | None], faults: list[str | None], index: int) -> _Fields:
    """The fields of one message by the strict decoder; none, and its fault noted, if it can't be decoded."""
    judged = _decode_strictly(values[index] or b"")
    if isinstance(judged, str):
        faults[index] = judged
        return _NO_FIELDS
    return judged


def _times(values: Sequence[bytes | None], fields: Sequence[_Fields]) -> dict[str, pl.Series]:
    """``ts``, the times that are texts, and ``ts_number``, the texts of those that are numbers, if there are any."""
    times = [row.ts for row in fields]
    if _NO_NUMBER.issuperset(map(type, times)):
        return {"ts": pl.Series(times, dtype=pl.String)}
    numbers: list[str | None] = [None] * len(times)
    for index in [index for index, kind in enumerate(map(type, times)) if kind not in _NO_NUMBER]:
        ts, times[index] = times[index], None
        numbers[index] = _time_as_written(values[index] or b"") if isinstance(ts, float) else str(ts)
    return {"ts": pl.Series(times, dtype=pl.String), "ts_number": pl.Series(numbers, dtype=pl.String)}


def _hidden_faults(values: Sequence[bytes | None], others: Sequence[int]) -> dict[int, str]:
    """By index, faults that the fast decoder does not detect: no value, invalid UTF-8 in skipped fields, deep nesting.
    Checking the joined bytes once rules these faults out for nearly every batch.

    ``others``: indices of the values that do not start with a brace as received.
    """
    present = [value for value in values if value is not None]
    joined = b"\0".join(present)
    faults: dict[int, str] = {}
    # With so few brackets besides those that start a message, none can be nested too deeply.
    if joined.count(b"{") + joined.count(b"[") - (len(values) - len(others)) >= MAX_NESTING:
        faults |= {index: "not_json" for index, value in enumerate(values) if value is not None and _is_deep(value)}
    if not _is_utf8(joined):
        faults |= {index: "not_utf8" for index, value in enumerate(values) if value is not None and not _is_utf8(value)}
    for index in others:
        if (fault := first_bytes_fault(values[index])) is not None:
            faults[index] = fault
    return faults


def _is_utf8(value: bytes) -> bool:
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_strictly(value: bytes) -> _Fields | str:
    """The fields of a message by RFC 8259, or the reason why it has none. Slow; this is the rule that the fast decoder
    has to agree with. `NaN`, `Infinity` and lone surrogates are read as values of a wrong type."""
    try:
        document = _read(value.decode())
    except ValueError:
        return "not_json"
    if isinstance(document, list):
        return "batch"
    if isinstance(document, dict) and document.keys() == _ENVELOPE and isinstance(document["payload"], dict):
        document = document["payload"]
    if not isinstance(document, dict):
        return "not_an_object"
    given = document.get("event_type")
    if given is None:
        return "missing_event_type"
    event_type = _text(given)
    if event_type != given:
        return "bad_event_type"
    ts = document.get("ts")
    player_id, game_id, event_id = (_text(document.get(name)) for name in ("player_id", "game_id", "event_id"))
    return _Fields(event_type, player_id, game_id, event_id, ts if isinstance(ts, _Number) else _text(ts))


def where_it_breaks_off(value: bytes) -> str:
    """Where a value that is not JSON breaks off, and why: a sentence without an end."""
    bare = unframed(value) or b""
    if _is_deep(bare):
        return f"nested more than {MAX_NESTING} deep"
    try:
        _read(bare.decode())
    except json.JSONDecodeError as error:
        at = len(value) - len(bare) + len(error.doc[: error.pos].encode())
        return f"breaks off at byte {at:,}: {error.msg}"
    except UnicodeDecodeError as error:
        return f"breaks off at byte {len(value) - len(bare) + error.start:,}: no UTF-8"
    return "can be read by now"


_ENVELOPE = {"schema", "payload"}
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _text(field: object) -> str | None:
    """A JSON string of characters, or null; the empty string for anything else."""
    if field is None:
        return None
    if not isinstance(field, str) or isinstance(field, _Number) or _LONE_SURROGATE.search(field):
        return ""
    return field


# Numbers are parsed but not converted: a million digits are legal JSON.
_read = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=lambda _name: False).decode


# An unfinished string extends to the end of the text, so that each byte is scanned once.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[{]}")


def _is_deep(value: bytes) -> bool:
    """Whether arrays and objects are nested more deeply than `MAX_NESTING`, not counting brackets inside strings."""
    if value.count(b"{") + value.count(b"[") <= MAX_NESTING:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", value).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_NESTING:
            return True
    return False
