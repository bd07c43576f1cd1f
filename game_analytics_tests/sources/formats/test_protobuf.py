"""Protobuf bodies: Google's own library writes them, and what they hold is listed by hand."""

import base64
from functools import cache
from typing import Any

import polars as pl
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc
from hypothesis import given, settings
from hypothesis import strategies as st

from game_analytics.sources.formats.protobuf import ProtobufDecoder
from game_analytics.sources.formats.registry_schema import Schema, Unsupported

TYPES = """
syntax = "proto3";
package shared;
enum EventType { NONE = 0; KILL = 1; DEATH = 2; }
"""
EVENTS = """
syntax = "proto3";
package game;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "shared/types.proto";
message Other { int32 x = 1; }
message Event {
  shared.EventType event_type = 1;
  string player_id = 2;
  optional string game_id = 3;
  google.protobuf.StringValue event_id = 4;
  google.protobuf.Timestamp ts = 5;
  message Inner { string event_type = 1; sint64 ts = 2; repeated string player_id = 3; bytes game_id = 4; }
}
"""
SCHEMA = Schema("PROTOBUF", EVENTS, (("shared/types.proto", TYPES),))
EVENT, INNER = b"\x02\x02", b"\x04\x02\x00"
"""Message indexes: of the second message of the file, and of the first one inside it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FileDescriptorSet:
    """The two files and what they import, compiled by Google's compiler."""
    folder = tmp_path_factory.mktemp("proto")
    (folder / "shared").mkdir()
    (folder / "shared/types.proto").write_text(TYPES)
    (folder / "events.proto").write_text(EVENTS)
    well_known = str(protoc.__file__).replace("protoc.py", "_proto")
    arguments = [f"-I{folder}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={folder}/out"]
    assert protoc.main(["protoc", *arguments, "events.proto"]) == 0
    return FileDescriptorSet.FromString((folder / "out").read_bytes())


@pytest.fixture(scope="module")
def pool(files: FileDescriptorSet) -> DescriptorPool:
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


def made(pool: DescriptorPool, name: str, **fields: Any) -> Message:
    message = GetMessageClass(pool.FindMessageTypeByName(name))()
    for field, value in fields.items():
        if isinstance(value, dict):
            for part, of_part in value.items():
                setattr(getattr(message, field), part, of_part)
        elif isinstance(value, list):
            getattr(message, field).extend(value)
        else:
            setattr(message, field, value)
    return message


def decoded(*bodies: bytes, appendix: bytes | None = None, schema: Schema = SCHEMA) -> list[dict[str, Any]]:
    appendices = pl.Series([appendix] * len(bodies), dtype=pl.Binary)
    return decoder_of(schema).decode(pl.Series(bodies, dtype=pl.Binary), appendices).to_dicts()


@cache
def decoder_of(schema: Schema) -> ProtobufDecoder:
    """Compiling takes a second."""
    return ProtobufDecoder(schema)


TS = {"seconds": 1_767_088_800, "nanos": 123_456_789}


def test_an_event_has_its_fields_and_an_exact_time(pool: DescriptorPool) -> None:
    event = made(pool, "game.Event", event_type=1, player_id="ann", game_id="g", event_id={"value": "e1"}, ts=TS)
    [fields] = decoded(EVENT + event.SerializeToString())
    assert str(fields.pop("ts_instant")) == "2025-12-30 10:00:00.123456+00:00"
    assert fields == {
        "fault": None,
        "event_type": "KILL",
        "player_id": "ann",
        "game_id": "g",
        "event_id": "e1",
        "ts": None,
    }


def test_what_is_not_set_is_absent_and_what_is_set_to_nothing_is_there(pool: DescriptorPool) -> None:
    [bare] = decoded(EVENT)
    assert [bare[name] for name in ("player_id", "game_id", "event_id", "ts", "ts_instant")] == [None] * 5
    assert bare["event_type"] == "NONE"  # an enum's 0 may be a real type
    empty = made(pool, "game.Event", event_type=1, player_id="", game_id="", event_id={"value": ""})
    [fields] = decoded(EVENT + empty.SerializeToString())
    assert (fields["player_id"], fields["game_id"], fields["event_id"]) == (None, "", "")


def test_a_number_that_the_enum_does_not_name_is_the_type(pool: DescriptorPool) -> None:
    [fields] = decoded(EVENT + made(pool, "game.Event", event_type=7).SerializeToString())
    assert fields["event_type"] == "7"


def test_the_indexes_choose_the_message_and_wrong_types_are_wrong(pool: DescriptorPool) -> None:
    inner = made(pool, "game.Event.Inner", event_type="DEATH", ts=1_767_088_800_123, player_id=["a"], game_id=b"g")
    [fields] = decoded(INNER + inner.SerializeToString())
    assert (fields["event_type"], fields["ts_number"]) == ("DEATH", "1767088800123")
    assert (fields["player_id"], fields["game_id"]) == ("", "")


def test_the_indexes_may_stand_in_the_header(pool: DescriptorPool) -> None:
    body = made(pool, "game.Event", event_type=2, player_id="bob").SerializeToString()
    for row in decoded(body, body, appendix=EVENT):
        assert (row["event_type"], row["player_id"]) == ("DEATH", "bob")
    [nothing] = decoded(b"", appendix=EVENT)
    assert (nothing["fault"], nothing["event_type"]) == (None, "NONE")


def test_messages_of_several_types_keep_their_order(pool: DescriptorPool) -> None:
    ann, bob = (EVENT + made(pool, "game.Event", player_id=name).SerializeToString() for name in ("ann", "bob"))
    inner = INNER + made(pool, "game.Event.Inner", event_type="X").SerializeToString()
    assert [row["player_id"] for row in decoded(ann, inner, bob, b"\0", ann)] == ["ann", None, "bob", None, "ann"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x02",
        b"\x02\x08",
        b"\x04\x02\x02",
        b"\x01\x02",
        b"\x80" * 50,
        EVENT + b"\xff\xff",
        EVENT + b"\x12\x02\xff\xfe",
    ],
)
def test_what_names_no_message_or_does_not_fit_is_a_mismatch_and_its_neighbours_are_not(
    pool: DescriptorPool, body: bytes
) -> None:
    good = EVENT + made(pool, "game.Event", event_type=1, player_id="ann").SerializeToString()
    first, bad, last = decoded(good, body, good)
    assert (first["fault"], bad["fault"], last["fault"]) == (None, "schema_mismatch", None)
    assert (first["player_id"], last["player_id"]) == ("ann", "ann")


def test_a_time_outside_the_calendar_is_none(pool: DescriptorPool) -> None:
    for seconds in (-1, 253_402_300_800, 2**63 - 1, -(2**63)):
        [fields] = decoded(EVENT + made(pool, "game.Event", ts={"seconds": seconds}).SerializeToString())
        assert str(fields["ts_instant"]) == "1969-12-31 23:59:59.999999+00:00"  # which the rules refuse


@pytest.mark.parametrize(
    ("type_", "value", "number"),
    [
        ("int64", 1_767_088_800, "1767088800"),
        ("uint64", 2**64 - 1, "18446744073709551615"),
        ("fixed32", 1_767_088_800, "1767088800"),
        ("double", 1_767_088_800.25, "1767088800.25"),
        ("google.protobuf.Int64Value", {"value": 5}, "5"),
        ("google.protobuf.DoubleValue", {"value": 0.5}, "0.5"),
        ("int64", 0, None),
        ("optional int64", 0, "0"),
    ],
)
def test_numbers_of_any_type_are_times_as_text(type_: str, value: Any, number: str | None) -> None:
    text = f'syntax = "proto3"; import "google/protobuf/wrappers.proto"; message E {{ {type_} ts = 1; }}'
    decoder = ProtobufDecoder(Schema("PROTOBUF", text))
    body = made(decoder.pool, "E", ts=value).SerializeToString()
    fields = decoder.decode(pl.Series([b"\0" + body]), pl.Series([None], dtype=pl.Binary)).to_dicts()
    assert [row["ts_number"] for row in fields] == [number]


def test_a_registry_may_hold_descriptors_in_base64_instead_of_files(
    files: FileDescriptorSet, pool: DescriptorPool
) -> None:
    texts = {file.name: base64.b64encode(file.SerializeToString()).decode() for file in files.file}
    schema = Schema("PROTOBUF", texts["events.proto"], (("shared/types.proto", texts["shared/types.proto"]),))
    body = EVENT + made(pool, "game.Event", event_type=1, player_id="ann", ts=TS).SerializeToString()
    assert decoded(body, schema=schema) == decoded(body)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_any_bytes_give_fields_or_a_mismatch(garbage: list[bytes]) -> None:
    rows = decoded(*garbage)
    assert {row["fault"] for row in rows} <= {None, "schema_mismatch"}
    assert len(rows) == len(garbage)


def test_a_text_that_is_no_file_or_has_no_message_is_called_so() -> None:
    with pytest.raises(Unsupported, match="no Protobuf file"):
        ProtobufDecoder(Schema("PROTOBUF", "no protobuf"))
    with pytest.raises(Unsupported, match=r"no Protobuf file.*missing\.proto"):
        ProtobufDecoder(Schema("PROTOBUF", 'syntax = "proto3"; import "missing.proto"; message E {}'))
    with pytest.raises(Unsupported):
        ProtobufDecoder(Schema("PROTOBUF", 'syntax = "proto3"; enum E { A = 0; }'))


def test_a_name_that_leads_out_of_the_folder_is_refused() -> None:
    with pytest.raises(Unsupported, match="no name of a file"):
        ProtobufDecoder(Schema("PROTOBUF", EVENTS, (("../shared/types.proto", TYPES),)))


def test_a_reference_may_have_any_name(pool: DescriptorPool) -> None:
    text = EVENTS.replace("shared/types.proto", "schema.proto")
    body = EVENT + made(pool, "game.Event", event_type=1).SerializeToString()
    [fields] = decoded(body, schema=Schema("PROTOBUF", text, (("schema.proto", TYPES),)))
    assert fields["event_type"] == "KILL"


def test_googles_common_types_need_no_reference() -> None:
    text = 'syntax = "proto3"; import "google/type/money.proto"; message E { google.type.Money ts = 1; }'
    decoder = ProtobufDecoder(Schema("PROTOBUF", text))
    fields = decoder.decode(pl.Series([b"\0\x0a\x02\x10\x05"]), pl.Series([None], dtype=pl.Binary)).to_dicts()
    assert [row["ts"] for row in fields] == [""]
