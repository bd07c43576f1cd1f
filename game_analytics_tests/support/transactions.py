"""Messages sent in a transaction that is open for as long as a block lasts."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from game_analytics.local_stack.kafka_broker import Broker
from game_analytics_tests.sources.kafka.conftest import Sent


class Fate(Enum):
    """How a transaction ends."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@contextmanager
def send_in_transaction(broker: Broker, topic: str, messages: Sequence[Sent], fate: Fate) -> Iterator[None]:
    """The messages are in the log when the block begins; the transaction ends with it, and leaves a marker."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": str(uuid.uuid4()), "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition, key, value, timestamp_ms in messages:
        producer.produce(topic, value, key, partition, timestamp=timestamp_ms)
    assert producer.flush(30) == 0
    yield
    ends = _ends(broker, topic, {partition for partition, *_ in messages})
    if fate is Fate.COMMITTED:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)
    _wait_for_markers(broker, topic, ends)


def _wait_for_markers(broker: Broker, topic: str, ends: Mapping[int, int]) -> None:
    """Brokers write them a moment after they have told that the transaction has ended."""
    deadline = time.monotonic() + 30
    while any(end <= ends[partition] for partition, end in _ends(broker, topic, ends).items()):
        assert time.monotonic() < deadline, f"{topic} got no markers within 30 s"
        time.sleep(0.02)


def _ends(broker: Broker, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The partitions' high watermarks."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    places = {TopicPartition(topic, partition): OffsetSpec.latest() for partition in partitions}
    return {place.partition: found.result().offset for place, found in admin.list_offsets(places).items()}
