"""What may stand around a message's object: a byte order mark, Schema Registry framing, Kafka Connect's envelope. What
other first bytes reveal is the reason for quarantine."""

import bz2
import gzip
import json
import lzma
import zlib

import pytest

from game_analytics_tests.support.batches import fate, fates, kill, shown, words

CONFLUENT = b"\x00\x00\x00\x00\x07"
APICURIO = b"\x00" + (7).to_bytes(8, "big")
GLUE = b"\x03\x00" + bytes(range(16))
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("before", [CONFLUENT, APICURIO, BYTE_ORDER_MARK], ids=["Confluent", "Apicurio", "BOM"])
def test_what_stands_before_the_object_is_removed(before: bytes) -> None:
    plain = kill(ts="2025-12-30T18:07:12.123Z", game_id="g", event_id="e")
    odd = kill(ts=1767117632)
    assert fates([before + plain, before + odd]) == fates([plain, odd])
    assert words([kill(), before + plain, kill()]) == ["landed"] * 3


@pytest.mark.parametrize("before", [CONFLUENT, APICURIO, BYTE_ORDER_MARK], ids=["Confluent", "Apicurio", "BOM"])
def test_a_framed_object_is_judged_as_any_other(before: bytes) -> None:
    assert fate(before + b'{"event_type":"KILL"') == "not_json"
    assert fate(before + b'{"event_type":"KILL","player_id":"\xff"}') == "not_utf8"
    assert fate(before + b"{" + b'"a":[' * 64 + b"]}" * 64) == "not_json"
    assert fate(before + b'{"player_id":"p"}') == "missing_event_type"
    assert fate(before + b'{"event_type":"ASSIST"}') == "ignored"


def test_a_brace_within_an_id_of_8_bytes_is_no_object() -> None:
    assert fate(b"\x00" + (0x7B000000).to_bytes(8, "big") + kill()) == "landed"


def enveloped(payload: bytes, **more: object) -> bytes:
    schema = {"type": "struct", "fields": [{"field": "event_type", "type": "string"}], "optional": False}
    further = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in more.items())
    return b'{"schema":' + json.dumps(schema).encode() + b',"payload":' + payload + further.encode() + b"}"


def test_of_kafka_connects_envelope_the_payload_counts() -> None:
    values = [
        kill(ts="2025-12-30T18:07:12Z"),
        kill(ts=1767117632.5),
        b'{"event_type":"KILL"}',
        b'{"event_type":"LOOT"}',
    ]
    assert fates([enveloped(value) for value in values]) == fates(values)
    assert words([b'{"schema":null,"payload":' + kill() + b"}", CONFLUENT + enveloped(kill())]) == ["landed"] * 2


@pytest.mark.parametrize(
    "value",
    [
        enveloped(b"null"),  # Kafka Connect's tombstone
        enveloped(b"[]"),
        enveloped(b'"KILL"'),
        enveloped(kill(), more=1),
        b'{"payload":' + kill() + b"}",
        enveloped(enveloped(kill())),
    ],
    ids=shown,
)
def test_anything_else_than_an_object_in_an_envelope_of_two_keys_is_no_envelope(value: bytes) -> None:
    assert fate(value) == "missing_event_type"


def test_an_event_with_fields_named_as_an_envelope_is_an_event() -> None:
    assert fate(kill(schema={}, payload={"event_type": "LOOT"})) == "landed"


@pytest.mark.parametrize(
    "value",
    [
        gzip.compress(kill(), mtime=0),
        *(zlib.compress(kill(), level) for level in (0, 1, 6, 9)),
        bz2.compress(kill()),
        lzma.compress(kill()),
        b"\x28\xb5\x2f\xfd\x20\x05",  # Zstandard
        b"\x04\x22\x4d\x18\x60\x40",  # LZ4
        b"\xff\x06\x00\x00sNaPpY\x01",  # Snappy
        b"\x82SNAPPY\x00\x00\x00\x00\x01",
    ],
    ids=shown,
)
def test_a_compressed_value_is_called_so(value: bytes) -> None:
    assert words([kill(), value, kill()]) == ["landed", "compressed", "landed"]


@pytest.mark.parametrize(
    "value",
    [
        CONFLUENT + b"\x08KILL\x0cp00017",
        CONFLUENT + b"\x00\n\x04KILL\x12\x06p00017",
        CONFLUENT,  # an empty message of Protobuf
        CONFLUENT + b" " + kill(),
        CONFLUENT + b"{\x0cp00017",  # a brace that is a byte of Avro
        GLUE + b"\x08KILL",
        GLUE + kill(),
        b"\x03\x05" + bytes(range(16)) + b"x",
        b"Obj\x01\x04\x14avro.codec",
    ],
    ids=shown,
)
def test_a_binary_value_is_called_so(value: bytes) -> None:
    assert words([kill(), value, kill()]) == ["landed", "avro_or_protobuf", "landed"]


@pytest.mark.parametrize(
    "value", [b"\x00", b"\x00\x00\x00\x00", b"\x03\x00 short", b"Object", b"BZ", b"x", b"\x00{}"], ids=shown
)
def test_other_first_bytes_reveal_nothing(value: bytes) -> None:
    assert fate(value) == "not_json"


def test_an_array_of_events_is_a_batch_and_an_event_as_text_is_none() -> None:
    assert fate(b"[" + kill() + b"," + kill() + b"]") == "batch"
    assert fate(b" []") == "batch"
    assert fate(json.dumps(kill().decode()).encode()) == "not_an_object"
    assert fate(kill() + b"\n" + kill()) == "not_json"
