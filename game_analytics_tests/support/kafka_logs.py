"""What the tests of the Kafka log share: logs on the real broker, and messages in short hand."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from game_analytics.landing.slices import MAX_BATCH, MAX_BATCH_BYTES
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics_tests.sources.kafka.conftest import NewTopicFactory, Sent, send
from game_analytics_tests.support.samples import kill, utc

TWO_MINUTES = timedelta(minutes=2)


def log_on(
    broker: Broker, topic: str, properties: Mapping[str, str] | None = None, patience: timedelta = TWO_MINUTES
) -> KafkaEventLog:
    return KafkaEventLog(KafkaSettings(broker.bootstrap_servers, topic, properties or {}, patience))


def ms(moment: str | datetime) -> int:
    """``2025-12-30 12:00`` as Kafka has it."""
    return round((utc(moment) if isinstance(moment, str) else moment).timestamp() * 1000)


def sent(partition: int, stamped: str, value: bytes | None = None, key: bytes | None = b"ann") -> Sent:
    """A message; a kill without a ``ts`` of its own, hence of the moment that it is stamped with, unless told
    otherwise."""
    return partition, key, kill() if value is None else value, ms(stamped)


def read(
    log: KafkaEventLog,
    partition: int,
    first: int,
    end: int,
    max_messages: int = MAX_BATCH,
    max_bytes: int = MAX_BATCH_BYTES,
) -> list[pl.DataFrame]:
    """The batches that hold anything."""
    batches = log.read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)
    return [batch for batch in batches if batch.height]


def offsets(log: KafkaEventLog, partition: int, first: int, end: int) -> list[int]:
    return [offset for batch in read(log, partition, first, end) for offset in batch["kafka_offset"]]


def delete_before(admin: AdminClient, topic: str, partition: int, offset: int) -> None:
    """As retention does it, only sooner."""
    place = TopicPartition(topic, partition, offset)
    admin.delete_records([place])[place].result()


def compacted_topic(broker: Broker, new_topic: NewTopicFactory, *before: Sent) -> str:
    """Forty messages in one partition, of five keys in turn, of which the broker has kept the last of each among
    all but the one that it writes to the newest file, the last. They come after those sent ``before``, which stay as
    long as their keys are others."""
    topic = new_topic(
        cleanup_policy="compact", min_cleanable_dirty_ratio="0.01", segment_ms=100, min_compaction_lag_ms=0
    )
    send(broker, topic, before)
    for number in range(40):
        send(broker, topic, [sent(0, f"2025-12-30 12:00:{number:02}", key=b"player %d" % (number % 5))])
    log = log_on(broker, topic)
    end = time.monotonic() + 60
    while len(offsets(log, 0, 0, len(before) + 40)) > len(before) + 6:
        assert time.monotonic() < end, "the broker did not compact the topic within a minute"
        time.sleep(0.1)
    return topic
