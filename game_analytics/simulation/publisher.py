"""What publishing to a topic takes, whether a day of long ago or today's messages as they happen: the topic, made where
that is asked for, the messages as Kafka takes them, and a producer that loses, repeats and reorders none."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Producer
from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.simulation.messages import delivered_at, player_id, value
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import OPTIONS, KafkaSettings
from game_analytics.sources.kafka.errors import Grievances, error_of, reason
from game_analytics.sources.kafka.topic import Topic

AT_ONCE = 20_000
"""Messages between two looks at what was delivered."""

ELSEWHERE = "another topic: --topic NAME --create-topic."

_DEFAULTS = {
    # A million messages: 2.0 CPU seconds and 39 MB on the broker's disk; uncompressed 2.3 s and 153 MB, with zstd 2.4 s
    # and 23 MB.
    "compression.type": "lz4",
    "queue.buffering.max.messages": "200000",
}
_LOOK_EVERY_SECONDS = 0.01
_IN_ORDER_AND_ONCE = {
    "enable.idempotence": True,
    # Else those behind a message that was refused, or was given up after its time, would go in without it.
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,  # the publisher's own patience decides, for all that is on its way at once
}


@dataclass(frozen=True)
class Opened:
    """A topic to publish to, and the simulation with as many partitions."""

    topic: Topic
    simulation: Simulation
    made: bool
    """Whether it was not there before."""


class NotTaken(Exception):
    """Kafka refused a message, or took none for as long as a broker may be away. Says why."""


class Publisher:
    """Sends messages to one topic: each once, and those of a partition in their order, so that at any moment, whatever
    happens, the partition holds the first ones of those that were sent to it."""

    def __init__(self, target: KafkaSettings, say: Callable[[str], None], linger_ms: int = 100) -> None:
        """``say`` is told in each outage once; what is sent within ``linger_ms`` goes together."""
        self._topic = target.topic
        self._patience = target.patience.total_seconds()
        self._failures: list[KafkaError] = []
        self._complaints = _Complaints(say, self._patience)
        with target.readable_refusals("--config-file"):
            self._producer = Producer(
                {
                    **target.client({**_DEFAULTS, "linger.ms": str(linger_ms)}),
                    **_IN_ORDER_AND_ONCE,
                    "error_cb": self._complaints,
                    # Asked for failures alone: what is neither reported nor left in the queue has been acknowledged.
                    "on_delivery": _noting(self._failures),
                    "delivery.report.only.error": True,
                }
            )
        self._be_patient()

    def left(self) -> int:
        """How many messages were not acknowledged yet, and a few requests of librdkafka's own."""
        return len(self._producer)

    def queue(self, batch: pl.DataFrame) -> None:
        """Hand over messages as `as_messages` gives them. They are sent in the background; where its queue is full,
        this waits. Raises `NotTaken`."""
        self._be_patient()
        produce, topic = self._producer.produce, self._topic
        try:
            for partition, key, timestamp, content in batch.iter_rows():
                while True:
                    try:
                        produce(topic, content, key, partition, timestamp=timestamp)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
                        self._ensure_going_on()
            self._producer.poll(0)
        except KafkaException as failure:
            raise self._given_up(failure) from None
        self._ensure_going_on()

    def settle(self, seconds: float) -> int:
        """Wait until all is acknowledged, but so long at most. How many messages are left. Raises `NotTaken`."""
        end = time.monotonic() + seconds
        try:
            # Not by flush(): a callback that raises, as the client's own does when it gives up, must end it at once.
            while self.left() and time.monotonic() < end:
                self._producer.poll(_LOOK_EVERY_SECONDS)
                self._ensure_going_on()
        except KafkaException as failure:
            raise self._given_up(failure) from None
        self._ensure_going_on()
        left = self.left()
        if not left:
            self._complaints.forget()
        return left

    def give_up(self) -> None:
        """Send nothing more."""
        self._producer.purge()

    def _be_patient(self) -> None:
        self._fewest = self.left()
        self._deadline = time.monotonic() + self._patience

    def _ensure_going_on(self) -> None:
        if self._failures:
            raise self._not_taken(self._failures[0])
        if not self.left() or self.left() < self._fewest:
            self._be_patient()
        elif time.monotonic() > self._deadline:
            raise NotTaken(f"no broker took any for {self._patience:.0f} s{self._complaints.worst_in_brackets()}")

    def _given_up(self, failure: KafkaException) -> NotTaken:
        """Of a producer that has given up for good. The cause comes with the messages that it then hands back."""
        end = time.monotonic() + 1
        while not self._failures and time.monotonic() < end:
            with suppress(KafkaException):
                self._producer.poll(_LOOK_EVERY_SECONDS)
        return self._not_taken(self._failures[0] if self._failures else error_of(failure))

    def _not_taken(self, error: KafkaError) -> NotTaken:
        return NotTaken(reason(error) + self._complaints.worst_in_brackets())


class _Complaints(Grievances):
    """Says once in each outage that nobody answers."""

    def __init__(self, say: Callable[[str], None], patience: float) -> None:
        super().__init__()
        self._say = say
        self._patience = patience
        self._said = False

    def __call__(self, error: KafkaError) -> None:
        super().__call__(error)
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._said:
            self._said = True
            self._say(f"No broker answers. Trying again for {self._patience:.0f} s.")

    def forget(self) -> None:
        super().forget()
        self._said = False

    def worst_in_brackets(self) -> str:
        told = self.worst()
        return f" ({reason(told)})" if told else ""


def open_topic(
    console: Console, target: KafkaSettings, simulation: Simulation, *, partitions: int | None, create: bool
) -> Opened:
    """The topic as it is there; ``partitions`` must be its number if given. ``create`` makes one with so many (else the
    simulation's number) if it is not there yet. Raises `GameAnalyticsError`."""
    if not target.bootstrap_servers or not target.topic:
        raise GameAnalyticsError("--bootstrap-servers or --topic is empty. Name both.")
    target.ensure_well_formed(OPTIONS)
    if partitions is not None:
        simulation = replace(simulation, partitions=partitions)
    topic = Topic(target)
    found = topic.partitions()
    if found is None and create:
        topic.create(simulation.partitions)
        made = f"Created the topic {target.topic}, {simulation.partitions} partitions, to be kept for ever"
        console.print(made, soft_wrap=True)
        return Opened(topic, simulation, made=True)
    if found is None:
        raise GameAnalyticsError(
            f"Kafka at {target.bootstrap_servers} has no topic {target.topic}. Name another with --topic, or make this "
            "one with --create-topic."
        )
    if partitions not in {None, found}:
        raise GameAnalyticsError(
            f"The topic {target.topic} has {found} partitions, not {partitions}. Leave --partitions out, or name "
            "another topic."
        )
    return Opened(topic, replace(simulation, partitions=found), made=False)


def as_messages(rows: pl.DataFrame, hour: int) -> pl.DataFrame:
    """``partition``, ``key``, ``timestamp`` (ms since 1970) and ``value`` of rows of the hour's timeline. A message
    without an event has no player, hence no key."""
    return rows.select(
        "partition",
        key=pl.when(pl.col("event_type").is_not_null()).then(player_id()),
        timestamp=delivered_at(hour).dt.epoch("ms"),
        value=value(hour),
    )


def by_partition(batch: pl.DataFrame) -> Counter[int]:
    """How many messages of the batch each partition gets."""
    return Counter(dict(batch["partition"].value_counts().iter_rows()))


def deviations(expected: Mapping[int, int], ends: Mapping[int, int]) -> str:
    """The partitions that do not end where they should, and by how much; empty if all do."""
    amiss = {partition: ends[partition] - end for partition, end in expected.items()}
    return ", ".join(f"partition {partition} by {count:+,}" for partition, count in amiss.items() if count)


def _noting(failures: list[KafkaError]) -> Callable[[KafkaError, object], None]:
    return lambda error, _: failures.append(error)
