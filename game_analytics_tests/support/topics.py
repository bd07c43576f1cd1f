"""Topics with published simulated matches: their actual and expected messages."""

from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from io import StringIO

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.rules.days import window_of
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.publish_day import produce_day
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.errors import NOT_READY, UNKNOWN_TOPIC, error_of

HOUR = timedelta(hours=1)

Delivered = tuple[int, bytes | None]
"""Timestamp in milliseconds since 1970, and value."""


class Topic:
    """A topic and its messages."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker = broker
        self.name = name
        self._admin: AdminClient | None = None

    def produce(self, day: date, simulation: Simulation, *, partitions: int | None = None, create: bool = False) -> str:
        """The command's output."""
        output = StringIO()
        console = Console(file=output, width=200)
        target = KafkaSettings(self.broker.bootstrap_servers, self.name)
        produce_day(console, target, day, simulation, partitions=partitions, create=create)
        return output.getvalue()

    def refusal_of(self, day: date, simulation: Simulation, *, partitions: int | None = None) -> str:
        with pytest.raises(GameAnalyticsError) as error:
            self.produce(day, simulation, partitions=partitions)
        return str(error.value)

    def ends(self) -> dict[int, int]:
        """The high watermark of each partition; empty while the topic does not exist or has no leaders yet."""
        self._admin = self._admin or AdminClient({"bootstrap.servers": self.broker.bootstrap_servers, "log_level": 0})
        topics = self._admin.list_topics(timeout=10).topics
        partitions = topics[self.name].partitions if self.name in topics else {}
        places = {TopicPartition(self.name, partition): OffsetSpec.latest() for partition in sorted(partitions)}
        try:
            return {place.partition: found.result().offset for place, found in self._admin.list_offsets(places).items()}
        except KafkaException as failure:
            if error_of(failure).code() not in NOT_READY | UNKNOWN_TOPIC:
                raise
            return {}

    def messages(
        self, firsts: Mapping[int, int] | None = None
    ) -> dict[int, list[tuple[int, bytes | None, bytes | None]]]:
        """Timestamp, key and value of all messages, by partition and offset: from these offsets on, or 0."""
        firsts = firsts or {}
        settings = {"group.id": "test", "enable.partition.eof": True, "enable.auto.commit": False, "log_level": 0}
        with closing(Consumer({"bootstrap.servers": self.broker.bootstrap_servers, **settings})) as consumer:
            partitions = sorted(consumer.list_topics(self.name, timeout=10).topics[self.name].partitions)
            consumer.assign(
                [TopicPartition(self.name, partition, firsts.get(partition, 0)) for partition in partitions]
            )
            found: dict[int, list[tuple[int, bytes | None, bytes | None]]] = {number: [] for number in partitions}
            ended: set[int | None] = set()
            while len(ended) < len(partitions):
                message = consumer.poll(10)
                assert message is not None, "the broker delivered nothing for ten seconds"
                error = message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended.add(message.partition())
                    continue
                kind, timestamp = message.timestamp()
                assert kind == TIMESTAMP_CREATE_TIME
                found[message.partition() or 0].append((timestamp, message.key(), message.value()))
        return found

    def delivered(self, firsts: Mapping[int, int] | None = None) -> dict[int, list[Delivered]]:
        return {number: [(at, value) for at, _, value in found] for number, found in self.messages(firsts).items()}


def two_partitions(events_per_day: int = 2_000, partitions: int = 2, seed: int = 7) -> Simulation:
    return Simulation(
        events_per_day=events_per_day, partitions=partitions, seed=seed, malformed_share=0.05, late_share=0.1
    )


def in_memory(simulation: Simulation, start: datetime, end: datetime) -> dict[int, list[Delivered]]:
    """What the in-memory log delivers from ``start`` up to but without ``end``."""
    log = MemoryEventLog(simulation, clock=lambda: end + timedelta(days=1))
    firsts, ends = log.first_at_or_after(start), log.first_at_or_after(end)
    delivered: dict[int, list[Delivered]] = {}
    for partition, first in firsts.items():
        behind = ends[partition]
        assert first is not None
        assert behind is not None
        batches = log.read(partition, first.offset, behind.offset, max_messages=10**6, max_bytes=10**9)
        delivered[partition] = [
            (round(at.timestamp() * 1000), value)
            for batch in batches
            for at, value in batch.select("kafka_timestamp", "value").iter_rows()
        ]
    return delivered


def landed_of(day: date, simulation: Simulation) -> dict[int, list[Delivered]]:
    """What a landing of the day reads from the in-memory log."""
    window = window_of(day, HOUR)
    return in_memory(simulation, window.start, window.end)
