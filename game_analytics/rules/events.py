"""Classifies messages by the contract's rules for fields: each is quarantined, ignored, of another day, or landed.

Exactly one class applies, in this order; a quarantined message keeps the first reason that applies.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation
from types import MappingProxyType

import polars as pl

REASONS = (
    "tombstone",
    "compressed",
    "avro_or_protobuf",
    "not_utf8",
    "not_json",
    "batch",
    "not_an_object",
    "unknown_schema",
    "unsupported_schema",
    "schema_mismatch",
    "glue_framing",
    "apicurio_framing",
    "azure_framing",
    "missing_event_type",
    "bad_event_type",
    "missing_player_id",
    "bad_player_id",
    "bad_game_id",
    "bad_event_id",
    "bad_ts",
)
"""Why a message is quarantined, in the order of precedence."""

EXPECTED = {
    "tombstone": "a value: a message without one is a deletion marker of compacted topics",
    "compressed": "JSON as it is: let the producer compress by its client's `compression.type`, not the value itself",
    "avro_or_protobuf": "JSON: these values begin as those of a Schema Registry do, followed by Avro or Protobuf. Set "
    "GAME_ANALYTICS_EVENT_FORMAT=registry to read them",
    "not_utf8": "text in UTF-8",
    "not_json": "one JSON object, nested at most 64 deep",
    "batch": "one event per message, not an array of them",
    "not_an_object": "a JSON object with fields, not a bare value",
    "unknown_schema": "a schema that the registry knows: check SCHEMA_REGISTRY_URL, and whether the schema was deleted",
    "unsupported_schema": "a record (Avro), a message (Protobuf) or JSON Schema",
    "schema_mismatch": "bytes that were written by the schema that the message names",
    "glue_framing": "Confluent's framing: these values have the one of AWS Glue, which is not read",
    "apicurio_framing": "Confluent's framing: let Apicurio's serializer write an id of 4 bytes into the value, with "
    "`apicurio.registry.headers.enabled=false`, `apicurio.registry.use-id=contentId` and its 4-byte id handler",
    "azure_framing": "Confluent's framing: these messages have the one of Azure's registry, which is not read",
    "missing_event_type": "a field `event_type`",
    "bad_event_type": "an `event_type` that is a text",
    "missing_player_id": "a `player_id` in each event of a counted type",
    "bad_player_id": "a `player_id` that is a text of 1 to 128 characters without control characters",
    "bad_game_id": "a `game_id` that is a text of 1 to 128 characters without control characters, or none",
    "bad_event_id": "an `event_id` that is a text of 1 to 128 characters without control characters, or none",
    "bad_ts": "a `ts` as in 2025-12-30T18:07:12Z of the years 1970 to 9999, a number since 1970 in s, ms, µs or ns "
    "that lies in 2000 to 2099, or none",
}
"""What is expected where a message is quarantined, by reason."""

COUNTED_TYPES = ("KILL", "DEATH")
"""The event types that are landed and counted; others are ignored. Each needs a metric in `player_stats.METRICS`."""

TYPE_NAMES = MappingProxyType({name: name for name in COUNTED_TYPES})
"""From the name of a type in messages to the counted type that it stands for. Other names are ignored."""

MAX_ID_LENGTH = 128

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
"""One row per event of a counted type of the day, by offset."""

DESCRIPTIONS = {
    "event_time": "When it happened, UTC",
    "player_id": "The player who killed or died",
    "event_type": " or ".join(COUNTED_TYPES),
    "game_id": "The match, if the message names one",
    "event_id": "The event, if the message names one; the same in repeated deliveries",
    "kafka_partition": "The message's partition in the log",
    "kafka_offset": "The message's offset in the partition",
}

FIELDS = pl.Schema(
    {
        "fault": pl.String(),
        "event_type": pl.String(),
        "player_id": pl.String(),
        "game_id": pl.String(),
        "event_id": pl.String(),
        "ts": pl.String(),
    }
)
"""Decoded messages, one row each: the fields as strings, or ``fault``, one of the `REASONS`, if the message can't be
decoded. A field that is absent is null; one of another type is the empty string. There may be `TIME_FIELDS`, too."""

TIME_FIELDS = pl.Schema(
    {
        "ts_number": pl.String(),
        "ts_instant": pl.Datetime("us", "UTC"),
        "ts_local": pl.Datetime("us", "UTC"),
    }
)
"""Times that are no text; ``ts`` is then null. The text of a number, whose unit its size tells; a moment; and what a
clock showed whose offset from UTC is not known."""

Decode = Callable[[pl.DataFrame], pl.DataFrame]
"""From messages to `FIELDS`, and any of `TIME_FIELDS`, one row each, in the same order."""

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


TIMES = ("with_offset", "without_offset", "displaced")
"""What is counted of times that are no number: those with an offset from UTC, those without, which count as UTC, and
which of the latter fall on another day than their message and are a quarter of an hour or more apart from it, as local
times are."""


@dataclass(frozen=True)
class Classified:
    """The messages of a batch by class."""

    landed: pl.DataFrame
    """As `RAW_EVENTS`."""
    quarantined: pl.DataFrame
    """As `QUARANTINED`."""
    ignored: pl.DataFrame
    """``event_type`` and ``kafka_offset`` of each event of another type."""
    other_days: pl.DataFrame
    """``day`` and ``kafka_offset`` of each valid event of another day."""
    times: Counter[str]
    """By `TIMES`, the valid events, of any day, whose time is no number."""


def classify(
    messages: pl.DataFrame, partition: int, day: date, decode: Decode, names: Mapping[str, str] = TYPE_NAMES
) -> Classified:
    """Classify messages of one Kafka partition for the landing of ``day``.

    ``messages`` has the columns ``kafka_offset``, ``kafka_timestamp`` (ms, UTC) and ``value`` (bytes or null). Further
    columns, as of headers, stay with quarantined messages. ``names``: as `TYPE_NAMES`.
    """
    is_type_counted = _is_one_of(names.values())
    events = _events(messages, partition, decode, names, is_type_counted).lazy()
    is_good = pl.col("reason").is_null()
    is_counted = is_good & is_type_counted
    own_day = pl.col("event_time").dt.date()
    further = [name for name in messages.columns if name not in QUARANTINED]
    landed, quarantined, ignored, other_days, times = pl.collect_all(
        [
            events.filter(is_counted & (own_day == day)).select(RAW_EVENTS.names()),
            events.filter(~is_good).select(*QUARANTINED, *further),
            events.filter(is_good & ~is_type_counted).select("event_type", "kafka_offset"),
            events.filter(is_counted & (own_day != day)).select(own_day.alias("day"), "kafka_offset"),
            events.select(**_time_counts(is_counted)),
        ]
    )
    return Classified(landed, quarantined, ignored, other_days, Counter(times.row(0, named=True)))


def _time_counts(is_counted: pl.Expr) -> dict[str, pl.Expr]:
    """`TIMES` of the counted events."""
    with_offset, without_offset = is_counted & pl.col("has_offset"), is_counted & ~pl.col("has_offset")
    event_time, delivered = pl.col("event_time"), pl.col("kafka_timestamp")
    is_shifted = (event_time - delivered).abs() >= _LEAST_SHIFT
    displaced = without_offset & is_shifted & (event_time.dt.date() != delivered.dt.date())
    return dict(zip(TIMES, (with_offset.sum(), without_offset.sum(), displaced.sum()), strict=True))


def _events(
    messages: pl.DataFrame, partition: int, decode: Decode, names: Mapping[str, str], is_type_counted: pl.Expr
) -> pl.DataFrame:
    """The messages with their fields as columns, their event time, and the reason for quarantine, if any."""
    fields = decode(messages)
    if further := {name: counted for name, counted in names.items() if name != counted}:
        fields = fields.with_columns(pl.col("event_type").replace(further))
    return (
        # Lazy, so that common subexpressions are computed once.
        pl.concat([messages, fields, _written_times(fields)], how="horizontal")
        .lazy()
        .with_columns(kafka_partition=pl.lit(partition, pl.Int32), event_time=_event_time())
        .with_columns(reason=_reason(is_type_counted))
        .collect()
    )


def _reason(is_type_counted: pl.Expr) -> pl.Expr:
    """The first reason that applies, in the order of `REASONS`; null for valid events and for those of other types,
    whose other fields are not checked."""
    event_type, player_id = pl.col("event_type"), pl.col("player_id")
    return (
        pl.when(pl.col("fault").is_not_null())
        .then(pl.col("fault"))
        .when(event_type.is_null())
        .then(pl.lit("missing_event_type"))
        .when(~is_type_counted)
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


def _is_one_of(types: Iterable[str]) -> pl.Expr:
    """As `is_in`, in a quarter of the time."""
    return pl.any_horizontal(pl.col("event_type") == event_type for event_type in dict.fromkeys(types))


def _is_bad_id(identifier: pl.Expr) -> pl.Expr:
    """False for 1 to 128 code points without control characters (Unicode category Cc); null for null."""
    return ~identifier.str.len_chars().is_between(1, MAX_ID_LENGTH) | identifier.str.contains(r"\p{Cc}")


_MILLISECONDS_UTC = (
    r"^(?:19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$"
)
_TIMESTAMP = (
    r"^(?P<date>(?:19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2})[Tt ](?P<clock>(?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<offset>Z|z|UTC|(?P<sign>[+-])(?P<hours>[01][0-9]|2[0-3])(?::?(?P<minutes>[0-5][0-9]))?)"
    r"(?:\[[^\[\]]{1,64}\])?)?$"
)
_LEAST_SHIFT = timedelta(minutes=15)
"""No local time is nearer to UTC without being UTC. Midnight may lie between an event and its message by chance."""
_FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_UNIT_DIGITS = (0, 3, 6, 9)
"""Decimal digits of a second in the units that a number may count: s, ms, µs, ns."""
_YEAR_2000, _YEAR_2100 = 946_684_800, 4_102_444_800
"""Seconds since 1970. The ranges of the four units are disjoint."""
_TRUNCATE = Context(prec=40, rounding=ROUND_DOWN)


def _event_time() -> pl.Expr:
    """When the event happened, in UTC: ``ts``, or the message's timestamp if there is none; null if that is invalid."""
    delivered = pl.col("kafka_timestamp")
    return (
        pl.when("names_time")
        .then("written_time")
        .when(delivered.is_between(_FIRST_MOMENT, _LAST_MOMENT))
        .then(delivered.cast(pl.Datetime("us", "UTC")))
    )


def _written_times(fields: pl.DataFrame) -> pl.DataFrame:
    """``written_time``: the moments that ``ts`` or one of `TIME_FIELDS` names, in UTC, truncated to µs, null if absent
    or invalid. ``names_time``: whether there is any. ``has_offset``: whether it has an offset from UTC, null for
    numbers and where there is none."""
    ts = fields["ts"]
    moments = ts.to_frame("ts").select(_common_form()).to_series()
    names_time = ts.is_not_null()
    has_offset = names_time.set(~names_time, None)
    others = (moments.is_null() & names_time).arg_true()
    if len(others):
        parsed = ts.gather(others).to_frame("ts").lazy().select(**_any_form()).collect()
        moments = moments.scatter(others, parsed["moment"])
        has_offset = has_offset.scatter(others, parsed["has_offset"])
    for name in TIME_FIELDS:
        if name in fields.columns and (times := fields[name]).null_count() < len(times):
            others = times.is_not_null().arg_true()
            present = times.gather(others)
            moments = moments.scatter(others, _number_times(present) if name == "ts_number" else _valid(present))
            names_time = names_time.scatter(others, True)
            if name != "ts_number":
                has_offset = has_offset.scatter(others, name == "ts_instant")
    return pl.DataFrame({"written_time": moments, "names_time": names_time, "has_offset": has_offset})


def _valid(moments: pl.Series) -> pl.Series:
    return moments.set(~moments.is_between(_FIRST_MOMENT, _LAST_MOMENT), None)


def _common_form() -> pl.Expr:
    """Parses only ``YYYY-MM-DDThh:mm:ss.mmmZ``, the most common form, in a third of the time."""
    ts = pl.col("ts")
    # No cache: few events share a millisecond, so the look-ups would cost more than they save.
    moment = ts.str.to_datetime("%Y-%m-%dT%H:%M:%S.%3fZ", time_unit="us", time_zone="UTC", strict=False, cache=False)
    return pl.when(ts.str.contains(_MILLISECONDS_UTC)).then(moment)


def _any_form() -> dict[str, pl.Expr]:
    """``moment`` and ``has_offset`` of texts of any form.

    ``YYYY-MM-DDThh:mm[:ss[.1-9 digits]][Z or offset][zone in brackets, after either]``: ``t`` or a space may stand for
    ``T``, ``z`` or ``UTC`` for ``Z``, a space before it; offsets are ``±hh``, ``±hhmm`` or ``±hh:mm``; no offset means
    UTC. The year must be from 1970 to 9999, both as written and in UTC. Leap seconds (``:60``) are invalid, since a
    timestamp column can't hold them.
    """
    part = pl.col("ts").str.extract_groups(_TIMESTAMP).struct.field
    second = part("second").fill_null("00")
    microseconds = part("fraction").str.head(6).str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    minutes = part("hours").cast(pl.Int64) * 60 + part("minutes").cast(pl.Int64).fill_null(0)
    offset = pl.when(part("sign") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    moment = (
        pl.concat_str(part("date"), part("clock"), second, separator=" ").str.to_datetime(
            "%Y-%m-%d %H:%M %S", time_unit="us", time_zone="UTC", strict=False
        )
        + pl.duration(microseconds=microseconds, time_unit="us")
        - pl.duration(minutes=offset, time_unit="us")
    )
    return {
        "moment": pl.when(moment.is_between(_FIRST_MOMENT, _LAST_MOMENT)).then(moment),
        "has_offset": part("offset").is_not_null(),
    }


def _number_times(numbers: pl.Series) -> pl.Series:
    """The moments of JSON numbers (as text), truncated to µs; null where they name none."""
    whole = numbers.cast(pl.Int64, strict=False)
    moments = pl.repeat(None, len(numbers), dtype=pl.Int64, eager=True)
    for digits in _UNIT_DIGITS:
        in_range = whole.is_between(_YEAR_2000 * 10**digits, _YEAR_2100 * 10**digits - 1)
        microseconds = whole * 10 ** (6 - digits) if digits <= 6 else whole // 10 ** (digits - 6)
        moments = microseconds.zip_with(in_range.fill_null(False), moments)
    others = (whole.is_null() & numbers.is_not_null()).arg_true()
    parsed = [_microseconds(number) for number in numbers.gather(others)]
    moments = moments.scatter(others, pl.Series(parsed, dtype=pl.Int64)) if parsed else moments
    return moments.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _microseconds(number: str) -> int | None:
    """µs since 1970 of a JSON number with a fraction or an exponent, truncated from its decimal text."""
    try:
        value = Decimal(number)
    except InvalidOperation:  # an exponent of more than 18 digits
        return None
    if not value.is_finite():
        return None
    for digits in _UNIT_DIGITS:
        if Decimal(_YEAR_2000 * 10**digits) <= value < Decimal(_YEAR_2100 * 10**digits):
            return int(value.scaleb(6 - digits, _TRUNCATE))
    return None
