"""One simulated day in every format of a Schema Registry, on a real broker: what is landed is the same, message by
message, and so are the stats and the board."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import ObjectKind
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.landing.slices import Reading
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.stats_file import connect
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.local_stack.kafka_broker import Kafka
from game_analytics.sources.formats.registry import RegistryFormat, RegistrySettings
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics_tests.support.apicurio import Apicurio, find_compiler
from game_analytics_tests.support.broker import NewTopicFactory, Sent
from game_analytics_tests.support.lakes import MemoryLake
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.samples import standing, utc
from game_analytics_tests.support.schema_registry import schema_registry
from game_analytics_tests.support.topics import Topic, two_partitions

DAY = date(2025, 12, 30)
NOW = utc("2026-01-02 06:00")
NAMES = ("event_type", "player_id", "game_id", "event_id", "ts")
AVRO = json.dumps(
    {
        "type": "record",
        "name": "Event",
        "fields": [{"name": name, "type": ["null", "string"]} for name in NAMES],
    }
)
JSON_SCHEMA = '{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Event", "type": "object"}'

Write = Callable[[dict[str, Any], SerializationContext], bytes | None]


@pytest.fixture(scope="module")
def apicurio(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apicurio]:
    with Apicurio(kafka, tmp_path_factory.mktemp("apicurio")) as registry:
        yield registry


def event_class() -> type[Any]:
    """A Protobuf message with five optional texts."""
    file = FileDescriptorProto(name="event.proto", package="game", syntax="proto3")
    event = file.message_type.add(name="Event")
    for number, name in enumerate(NAMES):
        event.oneof_decl.add(name=f"_{name}")
        event.field.add(
            name=name,
            number=number + 1,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            proto3_optional=True,
            oneof_index=number,
        )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("game.Event"))


@contextmanager
def writers(url: str, settings: Mapping[str, Any]) -> Iterator[dict[str, Write]]:
    """Confluent's serializers, by format."""
    with SchemaRegistryClient({"url": url}) as client:
        yield _writers(client, settings)


def _writers(client: SchemaRegistryClient, settings: Mapping[str, Any]) -> dict[str, Write]:
    event = event_class()
    avro = AvroSerializer(client, AVRO, conf=dict(settings))
    protobuf = ProtobufSerializer(event, client, {"use.deprecated.format": False, **settings})
    json_schema = JSONSerializer(JSON_SCHEMA, client, conf=dict(settings))
    return {
        "avro": lambda fields, context: avro({name: fields.get(name) for name in NAMES}, context),
        "protobuf": lambda fields, context: protobuf(event(**fields), context),
        "json": json_schema,
    }


def as_fields(value: bytes | None) -> dict[str, Any] | None:
    """An event whose fields are texts; None for what no schema can hold: it is sent as it is."""
    if value is None:
        return None
    try:
        document = json.loads(value.decode())  # bytes may be UTF-16 for it
    except ValueError:
        return None
    if not isinstance(document, dict) or "[[" in value.decode():  # nested deeply, which JSON may not be
        return None
    fields = {name: document[name] for name in NAMES if document.get(name) is not None}
    return fields if "event_type" in fields and all(map(_is_text, fields.values())) else None


def _is_text(value: object) -> bool:
    """Also no text with half a character, which JSON can hold."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def messages_of(topic: Topic) -> list[Sent]:
    """Its messages, each partition's in order."""
    return [
        (partition, key, value, timestamp)
        for partition, found in topic.messages().items()
        for timestamp, key, value in found
    ]


def send_written(topic: Topic, to: str, write: Write) -> None:
    """The topic's messages, those that are events by the serializer."""
    producer = Producer({"bootstrap.servers": topic.broker.bootstrap_servers, "max.in.flight": 1, "log_level": 0})
    for partition, key, value, timestamp in messages_of(topic):
        fields = as_fields(value)
        headers: list[tuple[str, str | bytes | None]] = []
        context = SerializationContext(to, MessageField.VALUE, headers=headers)
        written = value if fields is None else write(fields, context)
        producer.produce(to, written, key, partition, timestamp=timestamp, headers=headers)
        producer.poll(0)
    assert producer.flush(60) == 0


def landed(topic: Topic, name: str, url: str | None) -> tuple[pl.DataFrame, list[tuple[Any, ...]], Lake]:
    """The day's events, what was refused of it and why, and the lake."""
    lake: Lake = MemoryLake()
    format_ = Reading() if url is None else Reading(RegistryFormat(RegistrySettings(url)))
    log = KafkaEventLog(KafkaSettings(topic.broker.bootstrap_servers, name))
    land_day(log, lake, DAY, LandingOptions(timedelta(hours=1), reading=format_), clock=lambda: NOW)
    frames = {
        kind: [lake.read_parquet(key) for key in standing(lake, DAY).keys(kind)] for kind in ("raw", "quarantine")
    }
    events = pl.concat([frame for frame in frames["raw"] if frame is not None])
    refused = pl.concat([frame for frame in frames["quarantine"] if frame is not None])
    # Some simulated messages look like Avro of a schema: by a registry it is one that nobody knows.
    reason = pl.col("reason").replace("unknown_schema", "avro_or_protobuf")
    places = refused.select("kafka_partition", "kafka_offset", reason).sort("kafka_partition", "kafka_offset")
    return events.sort("kafka_partition", "kafka_offset"), places.rows(), lake


def rows_of(lake: Lake, kind: ObjectKind) -> list[pl.DataFrame]:
    frames = (lake.read_parquet(key) for key in standing(lake, DAY).keys(kind))
    return [frame for frame in frames if frame is not None]


def ensure_same(topic: Topic, name: str, url: str) -> None:
    """What is landed from another topic by the registry is what is landed from the first as JSON."""
    events, refused, lake = landed(topic, topic.name, None)
    its_events, its_refused, its_lake = landed(topic, name, url)
    assert events.height > 1_000
    assert its_events.equals(events)
    assert its_refused == refused
    stats, its_stats = (publish_stats(each, DAY).counted.stats for each in (lake, its_lake))
    assert its_stats.equals(stats)
    with closing(connect()) as connection:
        board, its_board = (publish_board(each, connection, DAY, 0).rows for each in (lake, its_lake))
    assert its_board.equals(board)


@pytest.fixture
def day(topic_of: Callable[..., Topic]) -> Topic:
    """A topic with a simulated day in JSON."""
    topic = topic_of()
    topic.produce(DAY, two_partitions())
    return topic


@pytest.mark.parametrize("format_", ["avro", "protobuf", "json"])
def test_a_day_with_ids_in_values_is_the_day_in_json(
    day: Topic, new_topic: NewTopicFactory, apicurio: Apicurio, format_: str
) -> None:
    name = new_topic(2, retention_ms=-1)
    with writers(apicurio.url, {}) as by_format:
        send_written(day, name, by_format[format_])
    ensure_same(day, name, apicurio.url)


@pytest.mark.parametrize("format_", ["avro", "protobuf", "json"])
def test_a_day_with_guids_in_headers_is_the_day_in_json(day: Topic, new_topic: NewTopicFactory, format_: str) -> None:
    """Apicurio has no GUIDs, so the registry is a stub."""
    name = new_topic(2, retention_ms=-1)
    settings = {"schema.id.serializer": header_schema_id_serializer}
    with schema_registry() as registry, writers(registry.url, settings) as by_format:
        send_written(day, name, by_format[format_])
        ensure_same(day, name, registry.url)


def test_a_day_from_java_is_the_day_in_json(day: Topic, new_topic: NewTopicFactory, apicurio: Apicurio) -> None:
    required(find_compiler)
    name = new_topic(2, retention_ms=-1)
    messages = [(partition, value, as_fields(value), timestamp) for partition, _, value, timestamp in messages_of(day)]
    apicurio.produce_from_java(day.broker.bootstrap_servers, name, AVRO, messages)
    ensure_same(day, name, apicurio.url)
