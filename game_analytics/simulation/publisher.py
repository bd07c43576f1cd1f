"""What `publish_day` and `publish_live` share: opening or creating a topic, messages as Kafka's producer takes them,
and a producer that neither loses, repeats nor reorders any."""

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
from game_analytics.sources.kafka.errors import RecentErrors, cause_among, error_of, reason
from game_analytics.sources.kafka.topic import Topic

AT_ONCE = 20_000
"""Messages queued between two checks of what was delivered."""

ELSEWHERE = "another topic: --topic NAME --create-topic."

_DEFAULTS = {
    # A million messages: 2.0 CPU seconds and 39 MB on the broker's disk; uncompressed 2.3 s and 153 MB, with zstd 2.4 s
    # and 23 MB.
    "compression.type": "lz4",
    "queue.buffering.max.messages": "200000",
}
_POLL_SECONDS = 0.01
_EXACTLY_ONCE_IN_ORDER = {
    "enable.idempotence": True,
    # Else messages would be written after a gap, where one was refused or timed out.
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,  # the publisher has its own deadline, for all messages in flight
}


@dataclass(frozen=True)
class Opened:
    """A topic to publish to, and the simulation with the same number of partitions."""

    topic: Topic
    simulation: Simulation
    created: bool
    """Whether the topic did not exist before."""


class DeliveryFailed(Exception):
    """Kafka refused a message, or acknowledged none for as long as a broker may be away. The text is the reason."""


class Publisher:
    """Sends messages to one topic, each once and in order: even after a failure, a partition holds a prefix of the
    messages that were sent to it."""

    def __init__(self, target: KafkaSettings, say: Callable[[str], None], linger_ms: int = 100) -> None:
        """``say`` is called with one line per outage; messages queued within ``linger_ms`` are sent as one batch."""
        self._topic = target.topic
        self._patience = target.patience.total_seconds()
        self._failures: list[KafkaError] = []
        self._errors = _OutageErrors(say, self._patience)
        with target.readable_refusals("--config-file"):
            self._producer = Producer(
                {
                    **target.client({**_DEFAULTS, "linger.ms": str(linger_ms)}),
                    **_EXACTLY_ONCE_IN_ORDER,
                    "error_cb": self._errors,
                    # Only failures are reported: what is neither reported nor left in the queue has been acknowledged.
                    "on_delivery": _append_to(self._failures),
                    "delivery.report.only.error": True,
                }
            )
        self._extend_deadline()

    def left(self) -> int:
        """How many messages are not acknowledged yet, plus a few of librdkafka's own requests."""
        return len(self._producer)

    def queue(self, batch: pl.DataFrame) -> None:
        """Queue messages as `as_messages` returns them, to be sent in the background. Waits while the queue is full.
        Raises `DeliveryFailed`."""
        self._extend_deadline()
        produce, topic = self._producer.produce, self._topic
        try:
            for partition, key, timestamp, content in batch.iter_rows():
                while True:
                    try:
                        produce(topic, content, key, partition, timestamp=timestamp)
                        break
                    except BufferError:
                        self._producer.poll(0.1)
                        self._raise_if_stalled()
            self._producer.poll(0)
        except KafkaException as failure:
            raise self._refused(error_of(failure)) from None
        self._raise_if_stalled()

    def settle(self, seconds: float) -> int:
        """Wait at most ``seconds`` until all is acknowledged. Returns how many are left. Raises `DeliveryFailed`."""
        end = time.monotonic() + seconds
        try:
            # Not flush(): an exception from a callback, such as the client's own on a fatal error, must end the wait.
            while self.left() and time.monotonic() < end:
                self._producer.poll(_POLL_SECONDS)
                self._raise_if_stalled()
        except KafkaException as failure:
            raise self._refused(error_of(failure)) from None
        self._raise_if_stalled()
        left = self.left()
        if not left:
            self._errors.reset()
        return left

    def give_up(self) -> None:
        """Drop the messages that are still queued."""
        self._producer.purge()

    def _extend_deadline(self) -> None:
        self._fewest = self.left()
        self._deadline = time.monotonic() + self._patience

    def _raise_if_stalled(self) -> None:
        if self._failures:
            raise self._refused(self._failures[0])
        if not self.left() or self.left() < self._fewest:
            self._extend_deadline()
        elif time.monotonic() > self._deadline:
            raise DeliveryFailed(f"no broker took any for {self._patience:.0f} s{self._errors.worst_in_brackets()}")

    def _refused(self, first: KafkaError) -> DeliveryFailed:
        """The failure with its cause, which may be reported only after the messages that were dropped for it."""
        end = time.monotonic() + 1
        while (cause := cause_among(self._failures)) is None and time.monotonic() < end:
            with suppress(KafkaException):  # raised again at each poll once the client can't continue
                self._producer.poll(_POLL_SECONDS)
        return DeliveryFailed(reason(cause or first) + self._errors.worst_in_brackets())


class _OutageErrors(RecentErrors):
    """Reports once per outage that no broker answers."""

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

    def reset(self) -> None:
        super().reset()
        self._said = False

    def worst_in_brackets(self) -> str:
        worst = self.worst()
        return f" ({reason(worst)})" if worst else ""


def open_topic(
    console: Console, target: KafkaSettings, simulation: Simulation, *, partitions: int | None, create: bool
) -> Opened:
    """The topic, which must have ``partitions`` partitions if that is given. ``create`` creates a missing one, with
    ``partitions`` or else the simulation's number. Raises `GameAnalyticsError`."""
    if not target.bootstrap_servers or not target.topic:
        raise GameAnalyticsError("--bootstrap-servers or --topic is empty. Name both.")
    target.ensure_well_formed(OPTIONS)
    if partitions is not None:
        simulation = replace(simulation, partitions=partitions)
    topic = Topic(target)
    existing = topic.partitions()
    if existing is None and create:
        topic.create(simulation.partitions)
        created = f"Created the topic {target.topic}, {simulation.partitions} partitions, to be kept for ever"
        console.print(created, soft_wrap=True)
        return Opened(topic, simulation, created=True)
    if existing is None:
        raise GameAnalyticsError(
            f"Kafka at {target.bootstrap_servers} has no topic {target.topic}. Name another with --topic, or "
            "create this one with --create-topic."
        )
    if partitions not in {None, existing}:
        raise GameAnalyticsError(
            f"The topic {target.topic} has {existing} partitions, not {partitions}. Leave --partitions out, or name "
            "another topic."
        )
    return Opened(topic, replace(simulation, partitions=existing), created=False)


def as_messages(rows: pl.DataFrame, hour: int) -> pl.DataFrame:
    """``partition``, ``key``, ``timestamp`` (ms since 1970) and ``value`` of rows of the hour's timeline. A message
    without an event has no player and so no key."""
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
    """Lists the partitions that do not end where they should, and by how much; empty if all do."""
    surplus = {partition: ends[partition] - end for partition, end in expected.items()}
    return ", ".join(f"partition {partition} by {count:+,}" for partition, count in surplus.items() if count)


def _append_to(failures: list[KafkaError]) -> Callable[[KafkaError, object], None]:
    return lambda error, _: failures.append(error)
