"""JSON in UTF-8, by RFC 8259. The values of fields are judged in `rules.events`."""

import json
import re
from collections.abc import Sequence
from typing import NoReturn

import msgspec
import polars as pl

from game_analytics.sources.formats.format import Format

MAX_NESTING = 64

_CHUNK = 2_000
"""Messages whose fields are Python objects at the same time. So few stay in the processor's cache until they become
columns, which halves the time."""


class _Fields(msgspec.Struct, gc=False):
    """The fields that are read, as the fast decoder fills them. Absent and null are the same."""

    event_type: str | None = None
    player_id: str | None = None
    game_id: str | None = None
    event_id: str | None = None
    ts: str | None = None


_NO_FIELDS = _Fields()
_decode_fast = msgspec.json.Decoder(_Fields).decode
# Errors of the fast decoder: the strict one then decides.
_UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class JsonFormat(Format):
    """One JSON object per message (RFC 8259), UTF-8, its fields by name."""

    def decode(self, messages: pl.DataFrame) -> pl.DataFrame:
        """`FIELDS` of each message, in order. A field that is no string becomes the empty string, which every rule
        refuses, so that the rules alone decide on the reason."""
        return decode(messages["value"])


JSON = JsonFormat()


def decode(values: pl.Series) -> pl.DataFrame:
    """`FIELDS` of these values (bytes or null), in order."""
    starts = range(0, max(1, len(values)), _CHUNK)
    return pl.concat([_decode_chunk(values[start : start + _CHUNK]) for start in starts], rechunk=True)


def _decode_chunk(chunk: pl.Series) -> pl.DataFrame:
    values = chunk.to_list()
    faults: list[str | None] = [None] * len(values)
    for index, fault in _hidden_faults(values, objects=int(chunk.bin.starts_with(b"{").sum())).items():
        values[index], faults[index] = b"{}", fault
    fields: list[_Fields] = []
    waiting = iter(values)
    while len(fields) < len(values):
        try:
            fields.extend(map(_decode_fast, waiting))
        except _UNSURE:  # those before it have their fields
            judged = _decode_strictly(values[len(fields)])
            if isinstance(judged, str):
                faults[len(fields)], judged = judged, _NO_FIELDS
            fields.append(judged)
    return pl.DataFrame(
        {
            "fault": pl.Series(faults, dtype=pl.String),
            "event_type": pl.Series([row.event_type for row in fields], dtype=pl.String),
            "player_id": pl.Series([row.player_id for row in fields], dtype=pl.String),
            "game_id": pl.Series([row.game_id for row in fields], dtype=pl.String),
            "event_id": pl.Series([row.event_id for row in fields], dtype=pl.String),
            "ts": pl.Series([row.ts for row in fields], dtype=pl.String),
        }
    )


def _hidden_faults(values: Sequence[bytes | None], objects: int) -> dict[int, str]:
    """By index, faults that the fast decoder does not detect: no value, invalid UTF-8 in skipped fields, deep nesting.
    Checking the joined bytes once rules these faults out for nearly every batch.

    ``objects``: how many values start with a brace.
    """
    present = [value for value in values if value is not None]
    joined = b"\0".join(present)
    faults: dict[int, str] = {}
    # With so few brackets besides those that start a message, none can be nested too deeply.
    if joined.count(b"{") + joined.count(b"[") - objects >= MAX_NESTING:
        faults |= {index: "not_json" for index, value in enumerate(values) if value is not None and _is_deep(value)}
    if not _is_utf8(joined):
        faults |= {index: "not_utf8" for index, value in enumerate(values) if value is not None and not _is_utf8(value)}
    if len(present) < len(values):
        faults |= {index: "tombstone" for index, value in enumerate(values) if value is None}
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
    """The fields of a message strictly by RFC 8259, or the reason why it has none. Slow; this is the rule that the fast
    decoder has to agree with."""
    text = value.decode()
    try:
        document = _read(text)
    except ValueError:
        return "not_json"
    if _LONE_SURROGATE.search(_PAIRS_AND_OTHER_ESCAPES.sub("", text)):
        return "not_json"
    if not isinstance(document, dict):
        return "not_an_object"
    event_type = document.get("event_type")
    if event_type is None:
        return "missing_event_type"
    if not isinstance(event_type, str):
        return "bad_event_type"
    others = (document.get(name) for name in ("player_id", "game_id", "event_id", "ts"))
    return _Fields(event_type, *(field if field is None or isinstance(field, str) else "" for field in others))


# Inside a JSON string a surrogate may be escaped only as a pair, high before low (RFC 8259, section 7).
_PAIRS_AND_OTHER_ESCAPES = re.compile(r"\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _number(_digits: str) -> int:
    return 0


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


# Numbers are parsed but not converted: a million digits are legal JSON, and no number is used.
_read = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_refuse).decode


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
