"""Which schema a message names: frames by hand, after what Confluent's, Apicurio's, AWS's and Azure's clients write."""

import uuid

import polars as pl
import pytest

from game_analytics.sources.event_log import ON_REQUEST
from game_analytics.sources.formats.registry_frame import frames, other_framing, schema_name

GUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
SEVEN = b"\x00\x00\x00\x07"
NAMES_SCHEMA = "__value_schema_id"

Headers = list[tuple[str, bytes | None]]


def message(value: bytes | None, headers: Headers | None = None) -> pl.DataFrame:
    return messages((value, headers))


def messages(*given: tuple[bytes | None, Headers | None]) -> pl.DataFrame:
    headers = [
        None if pairs is None else [{"name": name, "value": value} for name, value in pairs] for _, pairs in given
    ]
    return pl.DataFrame(
        {
            "value": pl.Series([value for value, _ in given], dtype=pl.Binary),
            "headers": pl.Series(headers, dtype=ON_REQUEST["headers"]),
        }
    )


@pytest.mark.parametrize(
    ("value", "headers", "schema", "body", "appendix"),
    [
        (b"\0" + SEVEN + b"body", None, SEVEN, b"body", None),
        (b"\0" + SEVEN, [], SEVEN, b"", None),
        (b"\0" + SEVEN + b"body", [("trace", b"x")], SEVEN, b"body", None),
        # In a header the schema is an id or a GUID, and the body may begin as it likes.
        (b"\0\0\0\0\x09body", [(NAMES_SCHEMA, b"\x01" + GUID.bytes)], GUID.bytes, b"\0\0\0\0\x09body", b""),
        (b"body", [(NAMES_SCHEMA, b"\x01" + GUID.bytes + b"\x02\x02")], GUID.bytes, b"body", b"\x02\x02"),
        (b"body", [("a", b"1"), (NAMES_SCHEMA, b"\0" + SEVEN), ("b", None)], SEVEN, b"body", b""),
        (b"", [(NAMES_SCHEMA, b"\x01" + GUID.bytes)], GUID.bytes, b"", b""),
        # The last header of a name counts, as for Kafka's clients.
        (b"body", [(NAMES_SCHEMA, b"\0\0\0\0\x01"), (NAMES_SCHEMA, b"\0" + SEVEN)], SEVEN, b"body", b""),
        # Nothing that names a schema.
        (b'{"a": 1}', None, None, b'{"a": 1}', None),
        (b"\0\0\0\x07", None, None, b"\0\0\0\x07", None),
        (b"", None, None, b"", None),
        (b"\0\0\0\0\0\0\0\0\x07body", None, None, b"\0\0\0\0\0\0\0\0\x07body", None),
        (b"body", [(NAMES_SCHEMA, b"\x02\x02")], None, b"body", None),
        (b"body", [(NAMES_SCHEMA, None)], None, b"body", None),
    ],
)
def test_a_message_names_its_schema_in_a_header_or_before_the_body(
    value: bytes, headers: Headers | None, schema: bytes | None, body: bytes, appendix: bytes | None
) -> None:
    assert frames(message(value, headers)).rows() == [(schema, body, appendix)]


def test_a_tombstone_names_no_schema_whatever_its_headers_say() -> None:
    assert frames(message(None, [(NAMES_SCHEMA, b"\0" + SEVEN)])).rows() == [(None, None, None)]


def test_messages_of_all_kinds_keep_their_order() -> None:
    found = frames(
        messages(
            (b"\0" + SEVEN + b"1", None),
            (b"2", [(NAMES_SCHEMA, b"\x01" + GUID.bytes)]),
            (b"{}", None),
            (b"\0" + SEVEN + b"4", [("x", b"")]),
            (b"5", [(NAMES_SCHEMA, b"\x01" + GUID.bytes)]),
        )
    )
    assert found["body"].to_list() == [b"1", b"2", b"{}", b"4", b"5"]


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"\x03\x00" + GUID.bytes + b"body", None, "glue_framing"),
        (b"\x03\x05" + GUID.bytes + b"body", None, "glue_framing"),
        (b"\0\0\0\0\0\0\0\0\x07body", None, "apicurio_framing"),
        (b"body", [("apicurio.value.globalId", b"\0\0\0\0\0\0\0\x07")], "apicurio_framing"),
        (b"body", [("apicurio.value.contentId", b"\0\0\0\0\0\0\0\x07")], "apicurio_framing"),
        (b"body", [("content-type", b"avro/binary+0f8fad5bd9cb469fa16570867728950e")], "azure_framing"),
        (b"body", [("content-type", b"application/json")], None),
        (b"body", None, None),
        (b"\x03\x00", None, None),
    ],
)
def test_framing_of_another_kind_is_named(value: bytes, headers: Headers | None, reason: str | None) -> None:
    assert other_framing(message(value, headers)).to_list() == [reason]
    assert other_framing(messages((b"{}", []), (value, headers))).to_list() == [None, reason]


def test_a_schema_is_written_as_its_number_or_its_guid() -> None:
    assert schema_name(SEVEN) == "7"
    assert schema_name(b"\xff\xff\xff\xff") == "4294967295"
    assert schema_name(GUID.bytes) == str(GUID)
