"""A bare `consume()` loop: what librdkafka and its Python client take to hand over each message, and nothing else.

``python -m benchmarks.bare_loop defaults | as-landing``
"""

import sys

from confluent_kafka import Consumer, TopicPartition

from benchmarks.measuring import Job, measure
from game_analytics.sources.kafka.properties import CLIENT_DEFAULTS, CONSUMER_DEFAULTS, READING

_AT_ONCE = {"defaults": 10_000, "as-landing": 200}
"""As many at once as the sketch takes, and as landing takes."""


def main() -> None:
    """Touch each value of the topic."""
    kind = sys.argv[1]
    # A consumer must have a group; of the rest nothing is said, as anybody would begin.
    as_landing = {**CLIENT_DEFAULTS, **CONSUMER_DEFAULTS, **READING}
    properties = {"group.id": "benchmark"} if kind == "defaults" else as_landing
    # Landing's client tells the end of a partition as well, once, in place of a message.
    told = 0 if kind == "defaults" else 1
    measure(lambda job: _touch_each(job, properties, _AT_ONCE[kind], told))


def _touch_each(job: Job, properties: dict[str, str], at_once: int, told_per_partition: int) -> int:
    consumer = Consumer({**properties, "bootstrap.servers": job.bootstrap_servers})
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in range(len(job.ends))])
    size = 0
    left = job.messages + told_per_partition * len(job.ends)
    while left:
        messages = consumer.consume(min(at_once, left), 1.0)
        for message in messages:
            value = message.value()
            if value is not None:
                size += len(value)
        left -= len(messages)
    # Errors are not looked for message by message, which would take time: they would show here, by what is missing.
    reached = consumer.position([TopicPartition(job.topic, partition) for partition in range(len(job.ends))])
    consumer.close()
    return sum(place.offset for place in reached)


if __name__ == "__main__":
    main()
