"""The same messages by several clients for Kafka, plain and compressed: each is read as it was sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import polars as pl
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from game_analytics.local_stack.kafka_broker import Broker
from game_analytics_tests.support.broker import NewTopicFactory, log_on, ms, read
from game_analytics_tests.support.samples import kill, utc

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
Sent = tuple[bytes | None, bytes | None, int]
"""Key, value, timestamp in milliseconds since 1970."""
_NOON_MS = ms("2025-12-30 12:00")
MESSAGES: list[Sent] = [
    (b"zoe" if number % 3 else None, kill(f"p{number % 40}") if number % 51 != 1 else None, _NOON_MS + number)
    for number in range(1_000)
]
"""Some without a key, and some with a key and no value."""


def by_librdkafka(servers: str, topic: str, codec: str) -> None:
    producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "log_level": 0})
    for key, value, timestamp in MESSAGES:
        producer.produce(topic, value, key, 0, timestamp=timestamp)
    assert producer.flush(30) == 0


def by_aiokafka(servers: str, topic: str, codec: str) -> None:
    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=servers, compression_type=None if codec == "none" else codec)
        await producer.start()
        try:
            acknowledged: list[Awaitable[object]] = [
                await producer.send(topic, value, key, partition=0, timestamp_ms=timestamp)
                for key, value, timestamp in MESSAGES
            ]
            await asyncio.gather(*acknowledged)
        finally:
            await producer.stop()

    asyncio.run(send())


@pytest.mark.parametrize(
    ("client", "codec"),
    [
        *((by_librdkafka, codec) for codec in CODECS),
        *((by_aiokafka, codec) for codec in ("none", "gzip")),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_what_a_client_sends_is_read_with_key_time_and_value(
    broker: Broker, new_topic: NewTopicFactory, client: Callable[[str, str, str], None], codec: str
) -> None:
    topic = new_topic()
    client(broker.bootstrap_servers, topic, codec)
    log = log_on(broker, topic)
    assert log.extents()[0].high == len(MESSAGES)
    found = pl.concat(read(log, 0, 0, len(MESSAGES)))
    assert found["kafka_offset"].to_list() == list(range(len(MESSAGES)))
    assert found["value"].to_list() == [value for _, value, _ in MESSAGES]
    assert found["kafka_timestamp"].to_list() == [
        utc("1970-01-01 00:00") + timedelta(milliseconds=timestamp) for _, _, timestamp in MESSAGES
    ]
    [place] = log.first_at_or_after(utc("2025-12-30 12:00") + timedelta(milliseconds=500)).values()
    assert place is not None
    assert place.offset == 500
