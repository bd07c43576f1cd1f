"""From typed values, as Avro and Protobuf have them, to the fields of messages. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import polars as pl

from game_analytics.rules.events import FIELDS

WANTED = tuple(name for name in FIELDS if name != "fault")
"""The fields that are read, found by these names alone."""

MISMATCH = "schema_mismatch"
"""The fault of a body that its schema does not fit."""

LAST_SECOND = 253_402_300_799
"""Of the year 9999, since 1970."""

BEFORE_1970 = -1
"""Microseconds that stand for a time that is none: the rules refuse it."""


class Kind(Enum):
    """What the values of a column are."""

    TEXT = auto()
    NUMBER = auto()
    """Integers, floats, or the texts of such."""
    INSTANT = auto()
    """Microseconds since 1970, UTC."""
    LOCAL = auto()
    """Microseconds since 1970 of a clock whose offset from UTC is unknown."""
    WRONG = auto()
    """Values of a type that no field may have. Any column: only whether a value is null matters."""


@dataclass(frozen=True)
class Typed:
    """Values of one field, one for each message: null where it has none of this kind."""

    kind: Kind
    values: pl.Series


def microseconds(values: pl.Series, digits: int) -> pl.Series:
    """Integers that count seconds with ``digits`` decimal places, as microseconds, truncated; `BEFORE_1970` where
    they lie outside the years 1970 to 9999."""
    valid = values.is_between(0, min((LAST_SECOND + 1) * 10**digits, 2**63) - 1)
    # Set to 0 first: others might not fit into 64 bits.
    inside = values.set(~valid, 0)
    scaled = inside * 10 ** (6 - digits) if digits <= 6 else inside // 10 ** (digits - 6)
    return pl.Series(scaled.set(~valid, BEFORE_1970))


def fields_of(columns: Mapping[str, Sequence[Typed]], faults: pl.Series) -> pl.DataFrame:
    """`rules.events.FIELDS`, and columns for times where there are any. ``columns``: by the name of a field, its values
    of each kind. ``faults`` (text): why a message can't be decoded, null where it can."""
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(faults))
    event_type, wrong_type = _text(columns.get("event_type", ()), nothing)
    faults = faults.set(wrong_type & faults.is_null(), "bad_event_type") if wrong_type.any() else faults
    fields = {"fault": faults, "event_type": event_type}
    for name in ("player_id", "game_id", "event_id"):
        text, wrong = _text(columns.get(name, ()), nothing)
        fields[name] = text.set(wrong, "") if wrong.any() else text
    return pl.DataFrame({**fields, **_times(columns.get("ts", ()), nothing)})


def _text(columns: Sequence[Typed], nothing: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The texts of a field, and where it has a value that is none."""
    text, wrong = nothing, nothing.is_not_null()
    for column in columns:
        if column.kind is Kind.TEXT:
            text = column.values
        else:
            wrong = wrong | column.values.is_not_null()
    return text, wrong


def _times(columns: Sequence[Typed], nothing: pl.Series) -> dict[str, pl.Series]:
    times = {"ts": nothing}
    for column in columns:
        match column.kind:
            case Kind.TEXT:
                times["ts"] = column.values
            case Kind.NUMBER:
                times["ts_number"] = _texts(column.values)
            case Kind.INSTANT:
                times["ts_instant"] = column.values.cast(pl.Datetime("us", "UTC"))
            case Kind.LOCAL:
                times["ts_local"] = column.values.cast(pl.Datetime("us", "UTC"))
    for column in columns:
        if column.kind is Kind.WRONG:
            times["ts"] = times["ts"].set(column.values.is_not_null(), "")
    return times


def _texts(numbers: pl.Series) -> pl.Series:
    """Numbers as text; floats that are whole as integers."""
    if not numbers.dtype.is_float():
        return numbers.cast(pl.String)
    whole = numbers.cast(pl.Int64, strict=False)
    return whole.cast(pl.String).zip_with((whole == numbers).fill_null(value=False), numbers.cast(pl.String))
