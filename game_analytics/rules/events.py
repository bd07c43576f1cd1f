"""A message becomes an event or keeps the reason why it can't: the contract's table of fields, decided here alone.

Grain: one row per message. A message falls into exactly one class, in this order: quarantined, ignored, other day,
landed; the first reason that applies is kept.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import NoReturn

import msgspec
import polars as pl

REASONS = (
    "tombstone",
    "not_utf8",
    "not_json",
    "not_an_object",
    "missing_event_type",
    "bad_event_type",
    "missing_player_id",
    "bad_player_id",
    "bad_game_id",
    "bad_event_id",
    "bad_ts",
)
"""Why a message is quarantined, in the order in which the reasons are tried."""

COUNTED_TYPES = ("KILL", "DEATH")
MAX_ID_LENGTH = 128
MAX_NESTING = 64
_DEEP_TAKES = 2 * MAX_NESTING
"""Bytes: JSON that is nested deeper takes at least two for each level."""

RAW_EVENTS = pl.Schema(
    {
        "event_time": pl.Datetime("us", "UTC"),
        "player_id": pl.String(),
        "event_type": pl.String(),
        "game_id": pl.String(),
        "event_id": pl.String(),
        "kafka_partition": pl.Int32(),
        "kafka_offset": pl.Int64(),
    }
)
"""One row per ``KILL`` or ``DEATH`` of the day, by offset."""

QUARANTINED = pl.Schema(
    {
        "reason": pl.String(),
        "value": pl.Binary(),
        "kafka_partition": pl.Int32(),
        "kafka_offset": pl.Int64(),
        "kafka_timestamp": pl.Datetime("ms", "UTC"),
    }
)
"""One row per message that could not be read, with its bytes as received."""


@dataclass(frozen=True)
class Classified:
    """Every message of a batch, once: two frames, a count, and the days and offsets of those of other days."""

    landed: pl.DataFrame
    quarantined: pl.DataFrame
    ignored: int
    other_days: pl.DataFrame
    """``day`` and ``kafka_offset`` of each good event that belongs to another day."""


class _Fields(msgspec.Struct, gc=False):
    """The fields that count, as the fast decoder fills them. Absent and null are the same."""

    event_type: str | None = None
    player_id: str | None = None
    game_id: str | None = None
    event_id: str | None = None
    ts: str | None = None


_decode_fast = msgspec.json.Decoder(_Fields).decode
# What the fast decoder says of a message that the strict one has to judge.
_UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def classify(messages: pl.DataFrame, partition: int, day: date) -> Classified:
    """Sort the messages of one Kafka partition into the contract's four classes, from the view of ``day``.

    ``messages`` has the columns ``kafka_offset``, ``kafka_timestamp`` (ms, UTC) and ``value`` (bytes or null).
    """
    events = _events(messages, partition)
    good = events.filter(pl.col("reason").is_null())
    counted = good.filter(pl.col("event_type").is_in(COUNTED_TYPES)).with_columns(day=pl.col("event_time").dt.date())
    of_the_day = pl.col("day") == day
    return Classified(
        landed=counted.filter(of_the_day).select(RAW_EVENTS.names()),
        quarantined=events.filter(pl.col("reason").is_not_null()).select(QUARANTINED.names()),
        ignored=good.height - counted.height,
        other_days=counted.filter(~of_the_day).select("day", "kafka_offset"),
    )


def _events(messages: pl.DataFrame, partition: int) -> pl.DataFrame:
    """The messages with their fields as columns, the moment they happened and the reason for quarantine, if any."""
    return (
        # Lazy, so that what an expression uses twice is computed once.
        pl.concat([messages, _decode(messages["value"].to_list())], how="horizontal")
        .lazy()
        .with_columns(kafka_partition=pl.lit(partition, pl.Int32), event_time=_event_time())
        .with_columns(reason=_reason())
        .collect()
    )


def _decode(values: Sequence[bytes | None]) -> pl.DataFrame:
    """The fields of each message as strings, and ``fault``: why it has none. A field of another type becomes the
    empty string, which breaks every rule that a field can have, so that the rules alone name the reason."""
    fields = []
    faults: list[str | None] = [None] * len(values)
    hidden = _hidden_faults(values)
    for index, value in enumerate(values):
        if value is None:
            decoded: _Fields | str = "tombstone"
        elif index in hidden:
            decoded = hidden[index]
        else:
            try:
                decoded = _decode_fast(value)
            except _UNSURE:
                decoded = _decode_strictly(value)
        if isinstance(decoded, str):
            faults[index], decoded = decoded, _Fields()
        fields.append(decoded)
    return pl.DataFrame({"fault": pl.Series(faults, dtype=pl.String), **_columns(fields)})


def _hidden_faults(values: Sequence[bytes | None]) -> dict[int, str]:
    """The faults that the fast decoder doesn't look for: deep nesting, and bytes that are no UTF-8 in fields that it
    skips. For these one look at the whole batch tells of nearly every batch that there are none."""
    present = {index: value for index, value in enumerate(values) if value is not None}
    deep = [index for index, value in present.items() if len(value) > _DEEP_TAKES and _is_deep(value)]
    all_utf8 = _is_utf8(b"\n".join(present.values()))
    not_utf8 = [] if all_utf8 else [index for index, value in present.items() if not _is_utf8(value)]
    return dict.fromkeys(deep, "not_json") | dict.fromkeys(not_utf8, "not_utf8")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _columns(fields: Sequence[_Fields]) -> dict[str, pl.Series]:
    return {
        "event_type": pl.Series([row.event_type for row in fields], dtype=pl.String),
        "player_id": pl.Series([row.player_id for row in fields], dtype=pl.String),
        "game_id": pl.Series([row.game_id for row in fields], dtype=pl.String),
        "event_id": pl.Series([row.event_id for row in fields], dtype=pl.String),
        "ts": pl.Series([row.ts for row in fields], dtype=pl.String),
    }


def _decode_strictly(value: bytes) -> _Fields | str:
    """The fields of a message by the letter of RFC 8259, or the reason why it has none. Slow and thorough: what it
    says is the rule, and the fast decoder may only agree."""
    text = value.decode()
    try:
        # Numbers are read but not made: one of a million digits is legal JSON, and none of them is used.
        document = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse)
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


# An unfinished string runs to the end of the text, so that each byte is looked at once.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def _is_deep(value: bytes) -> bool:
    """Whether arrays and objects stand in one another deeper than the limit, brackets inside strings left aside."""
    if value.count(b"{") + value.count(b"[") <= MAX_NESTING:
        return False
    depth = deepest = 0
    for byte in _STRING.sub(b"", value):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest > MAX_NESTING


def _reason() -> pl.Expr:
    """The first reason that applies, in the order of `REASONS`; null for a good message and for a legal event of
    another type, whose other fields nobody looks at."""
    event_type, player_id = pl.col("event_type"), pl.col("player_id")
    return (
        pl.when(pl.col("fault").is_not_null())
        .then(pl.col("fault"))
        .when(event_type.is_null())
        .then(pl.lit("missing_event_type"))
        .when(~event_type.is_in(COUNTED_TYPES))
        .then(pl.lit(None))
        .when(player_id.is_null())
        .then(pl.lit("missing_player_id"))
        .when(_is_bad_id(player_id))
        .then(pl.lit("bad_player_id"))
        .when(_is_bad_id(pl.col("game_id")))
        .then(pl.lit("bad_game_id"))
        .when(_is_bad_id(pl.col("event_id")))
        .then(pl.lit("bad_event_id"))
        .when(pl.col("event_time").is_null())
        .then(pl.lit("bad_ts"))
    )


def _is_bad_id(identifier: pl.Expr) -> pl.Expr:
    """1 to 128 code points, none of them a control character (Unicode category Cc); null is not bad."""
    return ~identifier.str.len_chars().is_between(1, MAX_ID_LENGTH) | identifier.str.contains(r"\p{Cc}")


_TIMESTAMP = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?$"
)
_UTC_OFFSET = r"[+-][0-9]{2}:[0-9]{2}$"
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def _event_time() -> pl.Expr:
    """When it happened, in UTC: by ``ts``, truncated to µs, else by the message's timestamp; null if neither will do.

    ``YYYY-MM-DDThh:mm:ss[.1-9 digits][Z or ±hh:mm]``; no offset means UTC. The year, as written and in UTC, lies in
    1970 to 9999. A leap second (``:60``) has no place in a column of timestamps and is not accepted.
    """
    ts = pl.col("ts")
    text = pl.when(ts.str.contains(_TIMESTAMP)).then(ts)
    clock = text.str.strip_suffix("Z").str.replace(_UTC_OFFSET, "")
    local = clock.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.convert_time_zone("UTC")
    moment = local - _utc_offset(text)
    in_range = local.is_between(_FIRST_MOMENT, _LAST_MOMENT) & moment.is_between(_FIRST_MOMENT, _LAST_MOMENT)
    delivered = pl.col("kafka_timestamp")
    return (
        pl.when(in_range)
        .then(moment)
        .when(ts.is_null() & delivered.is_between(_FIRST_MOMENT, _LAST_MOMENT))
        .then(delivered.cast(pl.Datetime("us", "UTC")))
    )


def _utc_offset(text: pl.Expr) -> pl.Expr:
    """``+hh:mm`` or ``-hh:mm`` at the end as a duration; zero for ``Z`` or nothing."""
    offset = text.str.extract(_UTC_OFFSET, 0)
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(4, 2).cast(pl.Int64)
    signed = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes)
    return pl.duration(minutes=signed.fill_null(0), time_unit="us")
