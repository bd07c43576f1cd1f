"""The format of a Schema Registry: whole batches, and a registry that is away, refuses, forgets or is another one.

Confluent's own serializers write the messages, where they can."""

import io
import json
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import fastavro
import polars as pl
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.ports import free_ports
from game_analytics.rules.events import Decode
from game_analytics.settings import read_settings
from game_analytics.sources.event_log import ON_REQUEST
from game_analytics.sources.formats.format import KeptSchemas
from game_analytics.sources.formats.registry import RegistryFormat, RegistrySettings
from game_analytics_tests.support.schema_registry import StubRegistry, schema_registry

SECRET = "hunter2"
AVRO = json.dumps(
    {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "event_type", "type": "string"},
            {"name": "player_id", "type": "string"},
            {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        ],
    }
)
PROTOBUF = 'syntax = "proto3"; message Event { string event_type = 1; string player_id = 2; }'
JSON_SCHEMA = '{"title": "Event", "type": "object"}'
EVENT = {"event_type": "KILL", "player_id": "ann", "ts": 1_767_088_800_123}


@dataclass
class Kept(KeptSchemas):
    """Schemas that are kept in memory."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> bytes | None:
        return self.texts.get(name)

    def place(self, name: str) -> str:
        return f"memory:{name}"

    def keep(self, name: str, schema: bytes) -> None:
        self.texts[name] = schema


@pytest.fixture
def registry() -> Iterator[StubRegistry]:
    with schema_registry() as running:
        yield running


@contextmanager
def decoding(registry: StubRegistry, kept: Kept | None = None, **properties: str) -> Iterator[Decode]:
    """As a worker does: the format arrives pickled."""
    format_ = pickle.loads(pickle.dumps(RegistryFormat(RegistrySettings(registry.url, properties))))  # noqa: S301
    with format_.opened(kept or Kept()) as decode:
        yield decode


def framed(number: int, body: bytes) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + body


def avro_body(player: str = "ann", **more: object) -> bytes:
    stream = io.BytesIO()
    schema = AVRO.replace(', "logicalType": "timestamp-millis"', "")
    fastavro.schemaless_writer(stream, json.loads(schema), {**EVENT, "player_id": player, **more})
    return stream.getvalue()


def batch(
    *values: bytes | None, headers: Sequence[Sequence[tuple[str, str | bytes | None]] | None] | None = None
) -> pl.DataFrame:
    named = [
        None if pairs is None else [{"name": name, "value": value} for name, value in pairs]
        for pairs in headers or [None] * len(values)
    ]
    return pl.DataFrame(
        {"value": pl.Series(values, dtype=pl.Binary), "headers": pl.Series(named, dtype=ON_REQUEST["headers"])}
    )


def test_messages_of_all_formats_in_one_batch_keep_their_order(registry: StubRegistry) -> None:
    avro = registry.add(AVRO)
    protobuf, json_schema = registry.add(PROTOBUF, "PROTOBUF"), registry.add(JSON_SCHEMA, "JSON")
    document = json.dumps({"event_type": "KILL", "player_id": "cy", "ts": 1_767_088_800}).encode()
    messages = batch(
        framed(avro, avro_body("a1")),
        framed(protobuf, b"\0\x0a\x04KILL\x12\x02b1"),
        None,
        document,
        framed(json_schema, document),
        framed(avro, avro_body("a2")),
        framed(99, b"body"),
        framed(avro, b"\xff"),
        avro_body("a3"),
        headers=[None] * 8 + [[("__value_schema_id", b"\x01" + registry.guid(avro))]],
    )
    with decoding(registry) as decode:
        fields = decode(messages)
    assert fields["player_id"].to_list() == ["a1", "b1", None, "cy", "cy", "a2", None, None, "a3"]
    assert fields["fault"].to_list() == [
        None,
        None,
        "tombstone",
        None,
        None,
        None,
        "unknown_schema",
        "schema_mismatch",
        None,
    ]
    assert fields["ts_number"].to_list() == [None] * 3 + ["1767088800"] * 2 + [None] * 4


def test_no_messages_have_no_fields(registry: StubRegistry) -> None:
    with decoding(registry) as decode:
        assert decode(batch()).height == 0


@pytest.mark.parametrize("in_header", [False, True])
def test_what_confluents_serializers_write_is_read(registry: StubRegistry, *, in_header: bool) -> None:
    settings = {"schema.id.serializer": header_schema_id_serializer} if in_header else {}
    plain = AVRO.replace(', "logicalType": "timestamp-millis"', "")
    values, headers = [], []
    with SchemaRegistryClient({"url": registry.url}) as client:
        writers: list[Callable[..., bytes | None]] = [
            AvroSerializer(client, plain, conf=settings),
            JSONSerializer(JSON_SCHEMA, client, conf=settings),
        ]
        for write in writers:
            added: list[tuple[str, str | bytes | None]] = []
            values.append(write(EVENT, SerializationContext("events", MessageField.VALUE, headers=added)))
            headers.append(added)
    assert all(bool(each) is in_header for each in headers)
    with decoding(registry) as decode:
        fields = decode(batch(*values, headers=headers))
    assert (
        fields.select("fault", "event_type", "player_id", "ts_number").rows()
        == [(None, "KILL", "ann", "1767088800123")] * 2
    )


def test_each_schema_is_asked_for_once_also_one_that_is_unknown(registry: StubRegistry) -> None:
    number = registry.add(AVRO)
    with decoding(registry) as decode:
        for _ in range(3):
            decode(batch(*[framed(number, avro_body()), framed(99, b"body")] * 50))
    assert sorted(registry.asked) == ["/schemas/ids/1", "/schemas/ids/99"]


def test_schemas_that_a_schema_refers_to_are_fetched(registry: StubRegistry) -> None:
    kind = registry.add('{"type": "enum", "name": "Kind", "symbols": ["DEATH", "KILL"]}')
    reference = {"name": "Kind", "subject": "kind", "version": kind}
    number = registry.add(
        AVRO.replace('"event_type", "type": "string"', '"event_type", "type": "Kind"'), "AVRO", [reference]
    )
    with decoding(registry) as decode:
        body = b"\x02" + avro_body()[5:]  # the symbol's index instead of a text
        assert decode(batch(framed(number, body)))["event_type"].to_list() == ["KILL"]


def test_a_reference_that_the_registry_forgot_makes_the_schema_unknown(registry: StubRegistry) -> None:
    number = registry.add(AVRO, "AVRO", [{"name": "Kind", "subject": "kind", "version": 77}])
    with decoding(registry) as decode:
        assert decode(batch(framed(number, avro_body())))["fault"].to_list() == ["unknown_schema"]


def test_a_schema_that_no_event_can_have_is_named_as_unsupported(registry: StubRegistry) -> None:
    number = registry.add('"string"')
    with decoding(registry) as decode:
        assert decode(batch(framed(number, b"\x02a")))["fault"].to_list() == ["unsupported_schema"]


def test_a_schema_that_the_registry_forgot_is_taken_from_where_it_was_kept(registry: StubRegistry) -> None:
    number, kept = registry.add(AVRO), Kept()
    messages = batch(framed(number, avro_body()))
    with decoding(registry, kept) as decode:
        before = decode(messages)
    assert list(kept.texts) == ["1"]
    registry.schemas.clear()
    with decoding(registry, kept) as decode:
        assert decode(messages).equals(before)


def test_a_kept_schema_that_is_damaged_is_named(registry: StubRegistry) -> None:
    number = registry.add(AVRO)
    with (
        decoding(registry, Kept({"1": b""})) as decode,
        pytest.raises(GameAnalyticsError, match="memory:1, where schema 1 is kept, is damaged"),
    ):
        decode(batch(framed(number, avro_body())))


def test_a_registry_that_gives_an_id_to_another_schema_is_refused(registry: StubRegistry) -> None:
    number, kept = registry.add(AVRO), Kept()
    with decoding(registry, kept) as decode:
        decode(batch(framed(number, avro_body())))
    registry.schemas.clear()
    assert registry.add('"string"') == number
    with decoding(registry, kept) as decode, pytest.raises(GameAnalyticsError, match="is not the one") as refused:
        decode(batch(framed(number, avro_body())))
    assert "memory:1" in str(refused.value)
    assert kept.texts["1"].startswith(b'{"type":"AVRO"')


def refusal_of(registry: StubRegistry, **properties: str) -> GameAnalyticsError:
    with decoding(registry, None, **properties) as decode, pytest.raises(GameAnalyticsError) as refused:
        decode(batch(framed(1, avro_body())))
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    return refused.value


@pytest.mark.parametrize(
    ("answer", "says", "passes"),
    [
        ((200, b"<html>Please log in</html>"), "does not answer as a Schema Registry does", False),
        ((200, b"{}"), "does not answer as a Schema Registry does", False),
        ((200, b"[]"), "does not answer as a Schema Registry does", False),
        ((200, b'{"schema": 5}'), "does not answer as a Schema Registry does", False),
        ((200, b'{"schema": "x", "schemaType": "THRIFT"}'), "does not answer as a Schema Registry does", False),
        ((200, b'{"schema": "{}", "references": [{"name": "x"}]}'), "does not answer as a Schema Registry does", False),
        ((404, b'{"error_code": 404, "message": "no such path"}'), "is the path right", False),
        ((404, b"Not Found"), "is the path right", False),
        ((401, b""), "refuses the credentials (HTTP 401)", False),
        ((403, b'{"error_code": 40301, "message": "hunter2"}'), "refuses the credentials (HTTP 403)", False),
        ((500, b"oops"), "fails: HTTP 500", True),
        ((429, b"{}"), "fails: HTTP 429", True),
        ((302, b""), "refuses: HTTP 302", False),
        ((200, b'{"schema": "no schema"}'), "Schema 1 of the Schema Registry at", False),
    ],
)
def test_a_wrong_answer_fails_in_one_line_that_names_the_registry(
    registry: StubRegistry, answer: tuple[int, bytes], says: str, *, passes: bool
) -> None:
    registry.answer = answer
    refused = refusal_of(registry)
    assert says in str(refused)
    assert registry.url in str(refused)
    assert isinstance(refused, Unavailable) is passes


@pytest.mark.trial
@pytest.mark.parametrize(("silent_for", "drips"), [(60, 0), (0, 1)])
def test_a_registry_that_says_nothing_whole_fails_within_15_seconds(
    registry: StubRegistry, silent_for: float, drips: float
) -> None:
    registry.add(AVRO)
    registry.silent_for, registry.drips = silent_for, drips
    began = time.monotonic()
    refused = refusal_of(registry)
    assert time.monotonic() - began < 20  # the machine may be busy
    assert isinstance(refused, Unavailable)
    assert "does not answer" in str(refused)


def test_a_registry_that_is_not_there_fails_at_once() -> None:
    [port] = free_ports(1)
    refused = refusal_of(StubRegistry(f"http://127.0.0.1:{port}"))
    assert isinstance(refused, Unavailable)
    assert f"http://127.0.0.1:{port}" in str(refused)


def test_credentials_of_the_file_open_the_registry_and_are_never_shown(registry: StubRegistry, tmp_path: Path) -> None:
    number = registry.add(AVRO)
    registry.user = "Basic YW5uOmh1bnRlcjI="
    file = tmp_path / "registry.properties"
    file.write_text(f"# ours\nbasic.auth.user.info = ann:{SECRET}\n")
    settings = RegistrySettings.read(registry.url, file)
    assert SECRET not in repr(settings)
    assert SECRET not in repr(RegistryFormat(settings))
    with RegistryFormat(settings).opened(Kept()) as decode:
        assert decode(batch(framed(number, avro_body())))["player_id"].to_list() == ["ann"]
    assert "refuses the credentials" in str(refusal_of(registry, **{"basic.auth.user.info": f"bob:{SECRET}"}))


@pytest.mark.parametrize("line", ["timeout=5", "url=http://elsewhere", "max.retries=9"])
def test_what_is_ours_to_set_is_refused_in_a_file(tmp_path: Path, line: str) -> None:
    file = tmp_path / "registry.properties"
    file.write_text(line)
    with pytest.raises(GameAnalyticsError, match=r"line 1: .* is not for this file to set"):
        RegistrySettings.read("http://registry", file)


def test_a_property_that_the_client_does_not_know_is_named(registry: StubRegistry) -> None:
    with (
        pytest.raises(GameAnalyticsError, match=r"basic\.auth\.usr\.info.*SCHEMA_REGISTRY_CONFIG_FILE") as refused,
        decoding(registry, None, **{"basic.auth.usr.info": SECRET}),
    ):
        pass
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"GAME_ANALYTICS_EVENT_FORMAT": "avro"},
            "is 'avro'; `json` or `registry` is expected",
        ),
        ({"GAME_ANALYTICS_EVENT_FORMAT": "registry"}, "SCHEMA_REGISTRY_URL is not set"),
        ({"SCHEMA_REGISTRY_URL": "http://[::1"}, "SCHEMA_REGISTRY_URL is no URL"),
        ({"SCHEMA_REGISTRY_URL": "http://registry:99999"}, "SCHEMA_REGISTRY_URL is no URL"),
        ({"SCHEMA_REGISTRY_URL": "registry:8081"}, "SCHEMA_REGISTRY_URL is no URL such as http://registry:8081"),
        ({"SCHEMA_REGISTRY_URL": f"http://ann:{SECRET}@registry"}, "SCHEMA_REGISTRY_URL holds credentials"),
    ],
)
def test_settings_that_name_no_registry_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GameAnalyticsError) as refused:
        read_settings()
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)
