"""A bare `consume()` loop: the time of librdkafka and its Python client for each message, and nothing else.

``python -m benchmarks.bare_loop defaults | as-landing``
"""

import sys

from confluent_kafka import Consumer, TopicPartition

from benchmarks.measuring import Job, measure
from game_analytics.sources.kafka.properties import CLIENT_DEFAULTS, CONSUMER_DEFAULTS, READING

_AT_ONCE = {"defaults": 10_000, "as-landing": 200}
"""Messages per call, as in the sketch and as in landing."""


def main() -> None:
    """Read each value of the topic."""
    kind = sys.argv[1]
    # A consumer must have a group; everything else is the default.
    as_landing = {**CLIENT_DEFAULTS, **CONSUMER_DEFAULTS, **READING}
    properties = {"group.id": "benchmark"} if kind == "defaults" else as_landing
    # Landing's client also reports the end of each partition, once, in place of a message.
    end_reports = 0 if kind == "defaults" else 1
    measure(lambda job: _read_each(job, properties, _AT_ONCE[kind], end_reports))


def _read_each(job: Job, properties: dict[str, str], at_once: int, end_reports: int) -> int:
    consumer = Consumer({**properties, "bootstrap.servers": job.bootstrap_servers})
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in range(len(job.ends))])
    size = 0
    left = job.messages + end_reports * len(job.ends)
    while left:
        messages = consumer.consume(min(at_once, left), 1.0)
        for message in messages:
            value = message.value()
            if value is not None:
                size += len(value)
        left -= len(messages)
    # Checking each message for an error would take time; missing messages show in the positions.
    reached = consumer.position([TopicPartition(job.topic, partition) for partition in range(len(job.ends))])
    consumer.close()
    return sum(partition.offset for partition in reached)


if __name__ == "__main__":
    main()
