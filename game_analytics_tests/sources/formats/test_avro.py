"""Avro bodies: fastavro writes them, and what they hold is listed by hand."""

import io
import json
import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from game_analytics.sources.formats.avro import AvroDecoder
from game_analytics.sources.formats.registry_schema import Malformed, Schema, Unsupported

PLAIN: dict[str, Any] = {
    "type": "record",
    "name": "com.example.Event",
    "fields": [
        {"name": "event_type", "type": "string"},
        {"name": "player_id", "type": "string"},
        {"name": "game_id", "type": ["null", "string"]},
        {"name": "event_id", "type": [{"type": "string", "logicalType": "uuid"}, "null"]},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
EVENT = {"event_type": "KILL", "player_id": "ann", "game_id": None, "event_id": "e1", "ts": 1_767_088_800_123}
"""2025-12-30T10:00:00.123Z."""


def schema_of(schema: object, *references: object) -> Schema:
    return Schema("AVRO", json.dumps(schema), tuple((f"ref{n}", json.dumps(each)) for n, each in enumerate(references)))


def with_field(name: str, type_: object) -> dict[str, Any]:
    """`PLAIN` with another type of one field, or with one field more."""
    fields = [field for field in PLAIN["fields"] if field["name"] != name]
    return {**PLAIN, "fields": [*fields, {"name": name, "type": type_}]}


def body_of(schema: object, event: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(json.dumps(schema))), event)
    return stream.getvalue()


def decoded(schema: object, *bodies: bytes) -> list[dict[str, Any]]:
    return AvroDecoder(schema_of(schema)).decode(pl.Series(bodies, dtype=pl.Binary)).to_dicts()


def only(schema: object, event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of one event; its instants as text."""
    [fields] = decoded(schema, body_of(schema, event))
    return {name: str(value) if isinstance(value, datetime) else value for name, value in fields.items()}


def test_an_event_has_its_fields_and_an_exact_time() -> None:
    assert only(PLAIN, EVENT) == {
        "fault": None,
        "event_type": "KILL",
        "player_id": "ann",
        "game_id": None,
        "event_id": "e1",
        "ts": None,
        "ts_instant": "2025-12-30 10:00:00.123000+00:00",
    }


@pytest.mark.parametrize(
    ("logical", "value", "column", "moment"),
    [
        ("timestamp-millis", 1_767_088_800_123, "ts_instant", "2025-12-30 10:00:00.123000+00:00"),
        ("timestamp-micros", 1_767_088_800_123_456, "ts_instant", "2025-12-30 10:00:00.123456+00:00"),
        ("timestamp-nanos", 1_767_088_800_123_456_789, "ts_instant", "2025-12-30 10:00:00.123456+00:00"),
        ("local-timestamp-millis", 1_767_088_800_123, "ts_local", "2025-12-30 10:00:00.123000+00:00"),
        ("local-timestamp-micros", 1_767_088_800_123_456, "ts_local", "2025-12-30 10:00:00.123456+00:00"),
        ("local-timestamp-nanos", 1_767_088_800_123_456_789, "ts_local", "2025-12-30 10:00:00.123456+00:00"),
        # The unit is known, so a time of any year counts: a number alone would be one of 2000 to 2099.
        ("timestamp-millis", 1_000, "ts_instant", "1970-01-01 00:00:01+00:00"),
        ("timestamp-micros", 253_402_300_799_999_999, "ts_instant", "9999-12-31 23:59:59.999999+00:00"),
    ],
)
def test_a_time_has_the_unit_that_the_schema_says(logical: str, value: int, column: str, moment: str) -> None:
    schema = with_field("ts", {"type": "long", "logicalType": logical})
    raw = with_field("ts", "long")  # fastavro would convert what it writes
    [fields] = decoded(schema, body_of(raw, {**EVENT, "ts": value}))
    assert str(fields[column]) == moment
    assert fields["ts"] is None


@pytest.mark.parametrize("value", [-1, 2**63 - 1, -(2**63), 253_402_300_800_000])
def test_a_time_before_1970_or_after_9999_is_none(value: int) -> None:
    [fields] = decoded(PLAIN, body_of(with_field("ts", "long"), {**EVENT, "ts": value}))
    assert str(fields["ts_instant"]) == "1969-12-31 23:59:59.999999+00:00"  # which the rules refuse


@pytest.mark.parametrize(
    ("type_", "value", "column", "text"),
    [
        ("long", 1_767_088_800, "ts_number", "1767088800"),
        ("int", 1_767_088_800, "ts_number", "1767088800"),
        ("double", 1_767_088_800.5, "ts_number", "1767088800.5"),
        ("double", 1_767_088_800.0, "ts_number", "1767088800"),
        ("string", "2025-12-30T10:00Z", "ts", "2025-12-30T10:00Z"),
        (["null", "double"], None, "ts_number", None),
        ({"type": "int", "logicalType": "date"}, 20_452, "ts", ""),
        ({"type": "long", "logicalType": "time-micros"}, 1, "ts", ""),
        ("bytes", b"2025", "ts", ""),
        ("boolean", True, "ts", ""),
        ({"type": "record", "name": "T", "fields": [{"name": "s", "type": "long"}]}, {"s": 1}, "ts", ""),
        ({"type": "array", "items": "long"}, [1], "ts", ""),
    ],
)
def test_times_of_other_types_are_numbers_texts_or_wrong(type_: Any, value: object, column: str, text: object) -> None:
    logical = type_ if isinstance(type_, dict) and "logicalType" in type_ else None
    raw = with_field("ts", logical["type"] if logical else type_)
    [fields] = decoded(with_field("ts", type_), body_of(raw, {**EVENT, "ts": value}))
    assert fields[column] == text


def test_a_field_of_a_wrong_type_is_wrong_and_not_absent() -> None:
    assert only(with_field("player_id", "long"), {**EVENT, "player_id": 7})["player_id"] == ""
    assert only(with_field("game_id", ["null", "bytes"]), {**EVENT, "game_id": b"g"})["game_id"] == ""
    assert only(with_field("game_id", ["null", "bytes"]), EVENT)["game_id"] is None
    assert only(with_field("event_type", "int"), {**EVENT, "event_type": 1})["fault"] == "bad_event_type"


def test_a_field_that_the_schema_lacks_is_absent() -> None:
    schema = {**PLAIN, "fields": PLAIN["fields"][:2]}
    assert only(schema, EVENT) == {
        "fault": None,
        "event_type": "KILL",
        "player_id": "ann",
        "game_id": None,
        "event_id": None,
        "ts": None,
    }


ENUM = {"type": "enum", "name": "Kind", "symbols": ["KILL", "DEATH", "SPAWN"]}


@pytest.mark.parametrize(
    "type_",
    [ENUM, [ENUM], ["null", ENUM], [ENUM, "null"], ["null", "int", ENUM], [ENUM, "long"], ["string", "int", ENUM]],
)
def test_an_enum_is_its_symbol(type_: object) -> None:
    for symbol in ("KILL", "DEATH", "SPAWN"):
        assert only(with_field("event_type", type_), {**EVENT, "event_type": symbol})["event_type"] == symbol


@pytest.mark.parametrize("index", [3, 100, -1, -3, 2**32])
def test_an_index_that_the_enum_lacks_is_a_mismatch(index: int) -> None:
    body = body_of(with_field("event_type", "long"), {**EVENT, "event_type": index})
    good = body_of(with_field("event_type", ENUM), EVENT)
    first, bad, last = decoded(with_field("event_type", ENUM), good, body, good)
    assert (first["fault"], bad["fault"], last["fault"]) == (None, "schema_mismatch", None)


def test_a_union_of_several_types_is_read_by_what_each_message_holds() -> None:
    local = {"type": "long", "logicalType": "local-timestamp-micros"}
    schema = with_field("ts", ["null", "string", local, "double", "boolean"])
    raw = with_field("ts", ["null", "string", "long", "double", "boolean"])
    values = ["2025-12-30T10:00Z", 1_767_088_800_123_456, 1.5e9, True, None]
    rows = decoded(schema, *(body_of(raw, {**EVENT, "ts": value}) for value in values))
    assert [row["ts"] for row in rows] == ["2025-12-30T10:00Z", None, None, "", None]
    assert [row["ts_number"] for row in rows] == [None, None, "1500000000", None, None]
    assert str(rows[1]["ts_local"]) == "2025-12-30 10:00:00.123456+00:00"
    ids = with_field("player_id", ["null", "string", "long"])
    rows = decoded(ids, *(body_of(ids, {**EVENT, "player_id": value}) for value in ("ann", 7, None)))
    assert [row["player_id"] for row in rows] == ["ann", "", None]
    types = with_field("event_type", ["string", "int", ENUM])
    rows = decoded(
        types,
        *(body_of(types, {**EVENT, "event_type": value}) for value in ("OTHER", 7, ("com.example.Kind", "DEATH"))),
    )
    assert [(row["fault"], row["event_type"]) for row in rows] == [
        (None, "OTHER"),
        ("bad_event_type", None),
        (None, "DEATH"),
    ]


REST = {
    "type": "record",
    "name": "Rest",
    "fields": [
        {"name": "flags", "type": {"type": "map", "values": {"type": "array", "items": ["null", "long"]}}},
        {"name": "kind", "type": ["null", ENUM]},
        {"name": "again", "type": "Kind"},
        {"name": "sum", "type": {"type": "fixed", "name": "Sum", "size": 3}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    ],
}


def test_what_else_the_record_holds_does_no_harm() -> None:
    schema = with_field("rest", ["null", REST])
    raw = json.loads(json.dumps(schema).replace(', "logicalType": "decimal"', ""))
    rest = {"flags": {"a": [1, None]}, "kind": "SPAWN", "again": "KILL", "sum": b"abc", "price": b"\x01\x02"}
    bodies = [body_of(raw, {**EVENT, "rest": each, "player_id": f"p{n}"}) for n, each in enumerate([rest, None, rest])]
    assert [row["player_id"] for row in decoded(schema, *bodies)] == ["p0", "p1", "p2"]


def test_what_a_registry_takes_though_it_is_no_good_schema_does_no_harm() -> None:
    fields = [
        {**field, "default": {"no": "default"}, "aliases": ["1"], "doc": 5} if field["name"] != "ts" else field
        for field in PLAIN["fields"]
    ]
    price = {"type": "fixed", "name": "Price", "size": 2, "logicalType": "decimal", "precision": 99, "scale": 1}
    kind = {**ENUM, "default": "NONE"}
    schema = {**PLAIN, "fields": [*fields, {"name": "price", "type": price}, {"name": "kind", "type": kind}]}
    raw = {
        **PLAIN,
        "fields": [
            *PLAIN["fields"],
            {"name": "price", "type": {"type": "fixed", "name": "Price", "size": 2}},
            {"name": "kind", "type": ENUM},
        ],
    }
    [fields_of_it] = decoded(schema, body_of(raw, {**EVENT, "price": b"ab", "kind": "KILL"}))
    assert (fields_of_it["fault"], fields_of_it["player_id"]) == (None, "ann")


def test_an_integer_of_more_bits_than_its_type_has_is_a_mismatch_in_any_company() -> None:
    schema, wide = with_field("ts", "int"), with_field("ts", "long")
    good = body_of(schema, {**EVENT, "ts": 1_767_088_800})
    bad = body_of(wide, {**EVENT, "ts": 2**32 + 1_767_088_800})
    assert [row["fault"] for row in decoded(schema, bad)] == ["schema_mismatch"]
    rows = decoded(schema, good, bad, good[:-1], good)
    assert [row["fault"] for row in rows] == [None, "schema_mismatch", "schema_mismatch", None]
    assert rows[3]["ts_number"] == "1767088800"


def test_types_of_other_schemas_are_found_by_their_names() -> None:
    schema = with_field("event_type", "com.example.shared.Kind")
    shared = {**ENUM, "namespace": "com.example.shared"}
    decoder = AvroDecoder(schema_of(schema, shared))
    body = body_of(with_field("event_type", ENUM), {**EVENT, "event_type": "DEATH"})
    assert decoder.decode(pl.Series([body]))["event_type"].to_list() == ["DEATH"]


def test_bodies_that_do_not_fit_are_named_and_none_of_their_neighbours_is() -> None:
    dice = random.Random(5)  # noqa: S311 - not for secrets
    spoilers: list[Callable[[bytes], bytes]] = [
        lambda body: body + b"\0",
        lambda body: body[:-1],
        lambda body: body[1:],
        lambda _: b"",
        lambda body: body * 2,
    ]
    bodies = [body_of(PLAIN, {**EVENT, "player_id": f"player {number}"}) for number in range(6_000)]
    broken = set(dice.sample(range(2_500), 30))
    for number in broken:
        bodies[number] = dice.choice(spoilers)(bodies[number])
    rows = decoded(PLAIN, *bodies)
    assert {number for number, row in enumerate(rows) if row["fault"] == "schema_mismatch"} == broken
    assert all(row["player_id"] == f"player {number}" for number, row in enumerate(rows) if number not in broken)


WIDE = with_field("rest", ["null", REST])
WRITTEN = json.loads(re.sub(', "logicalType": "(decimal|timestamp-millis)"', "", json.dumps(WIDE)))
"""As `WIDE`, with the types below logical ones, whose values fastavro writes as they are."""
LONGS = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.fixed_dictionaries(
            {
                "event_type": st.text(max_size=20),
                "player_id": st.text(max_size=300),
                "game_id": st.none() | st.text(max_size=20),
                "event_id": st.none() | st.text(max_size=20),
                "ts": st.integers(0, 253_402_300_799_999),
                "rest": st.none()
                | st.fixed_dictionaries(
                    {
                        "flags": st.dictionaries(st.text(max_size=5), st.lists(st.none() | LONGS)),
                        "kind": st.none() | st.sampled_from(ENUM["symbols"]),
                        "again": st.sampled_from(ENUM["symbols"]),
                        "sum": st.binary(min_size=3, max_size=3),
                        "price": st.binary(max_size=4),
                    }
                ),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_events_are_read_as_they_were_written(events: list[dict[str, Any]]) -> None:
    rows = decoded(WIDE, *(body_of(WRITTEN, event) for event in events))
    assert [row["fault"] for row in rows] == [None] * len(events)
    for name in ("event_type", "player_id", "game_id", "event_id"):
        assert [row[name] for row in rows] == [event[name] for event in events]
    assert [round(row["ts_instant"].timestamp() * 1000) for row in rows] == [event["ts"] for event in events]


@settings(max_examples=150, deadline=None)
@given(garbage=st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_any_bytes_give_fields_or_a_mismatch_and_leave_the_others_as_they_are(garbage: list[bytes]) -> None:
    good = body_of(WRITTEN, {**EVENT, "rest": None})
    alone = [AvroDecoder(schema_of(WIDE)).decode(pl.Series([body])) for body in garbage]
    together = AvroDecoder(schema_of(WIDE)).decode(pl.Series([good, *garbage, good]))
    expected = AvroDecoder(schema_of(WIDE)).decode(pl.Series([good]))
    assert_frame_equal(together, pl.concat([expected, *alone, expected]))


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        {"type": "array", "items": "string"},
        with_field("x", {"type": "array", "items": "null"}),
        with_field("x", ["null", "com.example.Event"]),
        with_field("ts", ["int", {"type": "long", "logicalType": "timestamp-millis"}]),
        with_field("ts", [{"type": "int", "logicalType": "date"}, "long"]),
    ],
    ids=["text", "array", "values without bytes", "itself", "two meanings", "a date or a number"],
)
def test_a_schema_whose_messages_have_no_certain_meaning_is_not_read(schema: object) -> None:
    with pytest.raises(Unsupported):
        AvroDecoder(schema_of(schema))


@pytest.mark.parametrize("text", ["", "{", "[]]", "<html>"])
def test_a_text_that_is_no_json_is_called_so(text: str) -> None:
    with pytest.raises(Malformed, match="no Avro schema"):
        AvroDecoder(Schema("AVRO", text))


@pytest.mark.parametrize("text", ['"Unknown"', '{"type": "record"}', '{"type": "recrod", "name": "x"}', "17", "null"])
def test_json_that_is_no_schema_is_not_read(text: str) -> None:
    with pytest.raises(Unsupported):
        AvroDecoder(Schema("AVRO", text))
