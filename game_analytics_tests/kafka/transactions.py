"""Messages sent in a transaction that is open for as long as a block lasts."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import Enum

from confluent_kafka import Consumer, Producer, TopicPartition

from game_analytics.local_stack.kafka_broker import Broker
from game_analytics_tests.kafka.conftest import Sent


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
    if fate is Fate.COMMITTED:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def settled(broker: Broker, topic: str, end: int, partition: int = 0) -> None:
    """Returns once all is readable up to ``end``. A transaction's marker is written only after its end was told."""
    settings = {"group.id": "test", "isolation.level": "read_committed", "log_level": 0}
    with closing(Consumer({"bootstrap.servers": broker.bootstrap_servers, **settings})) as consumer:
        deadline = time.monotonic() + 30
        while consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1] < end:
            assert time.monotonic() < deadline, f"{topic} did not get to offset {end} within 30 s"
            time.sleep(0.02)
