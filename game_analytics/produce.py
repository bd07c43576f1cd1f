"""`game-analytics produce`: a simulated day as messages of a Kafka topic. Landing it from there gives what landing it
from the in-memory log gives, with the same settings.

**Which messages.** All that a landing of the day reads: those delivered from 5 minutes before its midnight to an hour
after the next one, where late events of the day are. A day published alone is complete with that, and stays the same
when more days follow. The day after goes on where this one ended, so nothing is published twice.

**Which timestamp.** That of the delivery, as in the in-memory log; when an event happened stands in its ``ts``. Were
messages stamped with their events' times, one from a clock that is ahead would look like the end of the window and hide
the late events delivered after it, and a message that nobody can read has no event's time. Delivery times also never
fall, which lets the newest message tell whether a day comes in order.

**Which partition.** The player's, as the simulation deals them: `player % partitions`. The simulation takes on the
topic's number of partitions, so the in-memory log to compare with is the one with that number.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Producer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.window import moment, window_of
from game_analytics.layout import FIRST_DAY
from game_analytics.resources.event_log import milliseconds
from game_analytics.resources.kafka_errors import Grievances, error_of, reason
from game_analytics.resources.kafka_settings import KafkaSettings
from game_analytics.resources.kafka_topic import Topic
from game_analytics.simulation.messages import delivered_at, player_id, timeline, value
from game_analytics.simulation.schedule import START, Simulation

LATENESS = timedelta(minutes=60)
"""How far past midnight a day is published: as far as it is landed where nothing else is configured."""

_RETRIES_FOR = timedelta(minutes=2)
_AT_ONCE = 20_000  # messages between two looks at what was delivered
_LINE_EVERY_SECONDS = 10.0

_PRODUCER = {
    # A million messages: 2.0 CPU seconds and 39 MB on the broker's disk; uncompressed 2.3 s and 153 MB, with zstd 2.4 s
    # and 23 MB.
    "compression.type": "lz4",
    "linger.ms": "100",
    "queue.buffering.max.messages": "200000",
    "message.timeout.ms": str(_RETRIES_FOR // timedelta(milliseconds=1)),
}


def produce_day(
    console: Console, target: KafkaSettings, day: date, simulation: Simulation, *, partitions: int | None, create: bool
) -> None:
    """Publish the day and show how it goes. ``partitions`` must be the topic's number if given; ``create`` makes a
    topic with so many (else the simulation's number) if it is not there yet.

    Nothing is sent unless the topic will keep the day and all that it holds is older. Raises `GameAnalyticsError`.
    """
    _ensure_named(target)
    if partitions is not None:
        simulation = replace(simulation, partitions=partitions)
    _ensure_simulated_and_over(day)
    topic = Topic(target)
    found = topic.partitions()
    if found is None and create:
        topic.create(simulation.partitions)
        console.print(f"Created the topic {target.topic}, {simulation.partitions} partitions, to be kept for ever")
        plan = _Plan(day, simulation, window_of(day, LATENESS).start)
        before = dict.fromkeys(range(simulation.partitions), 0)
    elif found is None:
        raise GameAnalyticsError(
            f"Kafka at {target.bootstrap_servers} has no topic {target.topic}. Name another with --topic, or make this "
            "one with --create-topic."
        )
    elif partitions not in {None, found}:
        raise GameAnalyticsError(
            f"The topic {target.topic} has {found} partitions, not {partitions}. Leave --partitions out, or name "
            "another topic."
        )
    else:
        plan = _plan_for(topic, target, day, replace(simulation, partitions=found))
        before = topic.ends(found)
    started = time.monotonic()
    sent = _publish(console, target, plan)
    seconds = time.monotonic() - started
    after = topic.ends(plan.simulation.partitions)
    _ensure_nothing_else_arrived(target, plan, {p: after[p] - before[p] - sent[p] for p in before})
    console.print(
        f"Published {day} to {target.topic}: {plan.total:,} messages in {seconds:.1f} s, "
        f"{plan.total / seconds:,.0f} a second\n"
        f"  delivered from {moment(milliseconds(plan.start))} to {moment(milliseconds(plan.end))}",
        soft_wrap=True,
    )
    for partition, first in before.items():
        console.print(f"  partition {partition:>2}   offsets {first:>11,} to {after[partition] - 1:>11,}")


@dataclass(frozen=True)
class _Plan:
    """What of the simulated log is published for a day: what it delivers from ``start`` up to but without ``end``."""

    day: date
    simulation: Simulation
    start: datetime

    @property
    def end(self) -> datetime:
        """That of the day's window, which is on the hour."""
        return window_of(self.day, LATENESS).end

    @cached_property
    def total(self) -> int:
        """How many messages that are."""
        opening = _hour(self.start)
        further = self.simulation.messages_before(_hour(self.end)) - self.simulation.messages_before(opening + 1)
        return self._rows(opening).height + further

    def batches(self) -> Iterator[pl.DataFrame]:
        """``partition``, ``key``, ``timestamp`` (ms since 1970) and ``value`` of each message, those of a partition in
        the order of their offsets. A message without an event has no player, hence no key."""
        for hour in range(_hour(self.start), _hour(self.end)):
            for rows in self._rows(hour).iter_slices(_AT_ONCE):
                yield rows.select(
                    "partition",
                    key=pl.when(pl.col("event_type").is_not_null()).then(player_id()),
                    timestamp=delivered_at(hour).dt.epoch("ms"),
                    value=value(hour),
                )

    def _rows(self, hour: int) -> pl.DataFrame:
        return timeline(self.simulation, hour).filter(delivered_at(hour) >= self.start)


def _publish(console: Console, target: KafkaSettings, plan: _Plan) -> Counter[int]:
    """Send the messages and wait until the cluster has acknowledged every one. How many each partition got.

    Raises `GameAnalyticsError` if one was refused, or when interrupted: the topic then holds a part of the day.
    """
    failures: list[KafkaError] = []
    grievances = Grievances()

    def note(error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and grievances.worst() is None:
            console.print("No broker answers. Trying again until message.timeout.ms is over.")
        grievances(error)

    with target.readable_refusals("--config-file"):
        producer = Producer(
            {
                **target.client(_PRODUCER),
                "enable.idempotence": True,
                "error_cb": note,
                # Asked for failures alone: what is neither reported nor left in the queue has been acknowledged.
                "on_delivery": lambda error, _: failures.append(error),
                "delivery.report.only.error": True,
            }
        )
    sent: Counter[int] = Counter()
    with _progress(console, plan) as show:
        try:
            for batch in plan.batches():
                _queue(producer, target.topic, batch)
                sent.update(dict(batch["partition"].value_counts().iter_rows()))
                show(sent.total() - len(producer))
                if failures:
                    break
            left = len(producer)
            while left and not failures:
                left = producer.flush(0.5)
                show(sent.total() - left)
        except KeyboardInterrupt:
            left = producer.flush(5)
            # To within a batch: the one that was being handed over is not counted.
            taken = max(0, sent.total() - left)
            raise _unfinished(target, plan, f"Interrupted after about {taken:,} messages") from None
        except KafkaException as failure:  # of a producer that has given up
            failures.append(error_of(failure))
        finally:
            producer.purge()
    if failures:
        told = grievances.worst()
        why = reason(failures[0]) + (f" ({reason(told)})" if told else "")
        raise _unfinished(target, plan, f"Kafka did not take all messages: {why}")
    return sent


def _queue(producer: Producer, topic: str, batch: pl.DataFrame) -> None:
    """Hand the messages to librdkafka, which sends them in the background; wait where its queue is full."""
    produce, poll = producer.produce, producer.poll
    for partition, key, timestamp, content in batch.iter_rows():
        while True:
            try:
                produce(topic, content, key, partition, timestamp=timestamp)
                break
            except BufferError:
                poll(0.1)
    poll(0)


@contextmanager
def _progress(console: Console, plan: _Plan) -> Iterator[Callable[[int], None]]:
    """A function that shows how many messages were delivered: a bar in a terminal, else a line now and then."""
    total, started = plan.total, time.monotonic()
    next_line = started + _LINE_EVERY_SECONDS
    bar = Progress(
        TextColumn(str(plan.day)),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:,} of {task.total:,}  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=total, rate=0.0)

    def show(delivered: int) -> None:
        nonlocal next_line
        now = time.monotonic()
        delivered = max(0, delivered)  # librdkafka counts a few requests of its own among what is left
        rate = delivered / (now - started)
        bar.update(task, completed=delivered, rate=rate)
        if not console.is_terminal and now >= next_line:
            next_line = now + _LINE_EVERY_SECONDS
            console.print(f"  {delivered:,} of {total:,} messages, {rate:,.0f} a second")

    with bar:
        yield show


def _plan_for(topic: Topic, target: KafkaSettings, day: date, simulation: Simulation) -> _Plan:
    """The day as it fits a topic that is there: with its whole window, or behind the day before where the topic ends
    with that one.

    Raises `GameAnalyticsError` if the topic would not keep it, or holds anything else that is newer.
    """
    start, behind_the_day_before = window_of(day, LATENESS).start, window_of(day - timedelta(days=1), LATENESS).end
    topic.ensure_it_keeps(start, simulation.events_per_day // simulation.partitions)
    newest = topic.newest(simulation.partitions)
    if all(found.timestamp_ms < milliseconds(start) for found in newest.values()):
        return _Plan(day, simulation, start)
    timestamps = {partition: found.timestamp_ms for partition, found in newest.items()}
    if timestamps == _last_delivered(simulation, _hour(behind_the_day_before) - 1):
        return _Plan(day, simulation, behind_the_day_before)
    partition, latest = max(newest.items(), key=lambda item: item[1].timestamp_ms)
    holds = (
        f"The topic {target.topic} holds messages up to {moment(latest.timestamp_ms)} (partition {partition}, "
        f"offset {latest.offset})"
    )
    elsewhere = "Nothing was sent. Produce the day into another topic: --topic NAME --create-topic."
    if latest.timestamp_ms < milliseconds(behind_the_day_before):
        raise GameAnalyticsError(
            f"{holds}, and they are not the whole day before {day} as these settings simulate it. If that day was "
            f"produced with others (events, seed, shares), use those. If it was interrupted, it stays so. {elsewhere}"
        )
    raise GameAnalyticsError(
        f"{holds}, so {day} is there already or would come too late: a day is found by time, which needs days in order "
        f"and each once. {elsewhere}"
    )


def _last_delivered(simulation: Simulation, hour: int) -> dict[int, int]:
    """The timestamp of each partition's last message of the hour."""
    last = timeline(simulation, hour).group_by("partition").agg(delivered_at(hour).dt.epoch("ms").max().alias("last"))
    return dict(last.iter_rows())


def _ensure_named(target: KafkaSettings) -> None:
    """An empty name librdkafka would answer with an error of its own kind."""
    if not target.bootstrap_servers or not target.topic:
        raise GameAnalyticsError("--bootstrap-servers or --topic is empty. Name both.")


def _ensure_simulated_and_over(day: date) -> None:
    end = window_of(day, LATENESS).end
    if day < FIRST_DAY:
        raise GameAnalyticsError(f"{day} is before {FIRST_DAY}, the first day that there is. Choose a later one.")
    if end > datetime.now(UTC):
        raise GameAnalyticsError(
            f"{day} is not over: its last messages are delivered until {moment(milliseconds(end))}. Choose an earlier "
            "day."
        )


def _ensure_nothing_else_arrived(target: KafkaSettings, plan: _Plan, others: Mapping[int, int]) -> None:
    """Raises `GameAnalyticsError` if a partition did not grow by just the messages that were sent to it."""
    amiss = [f"partition {partition} by {count:+,}" for partition, count in others.items() if count]
    if amiss:
        raise GameAnalyticsError(
            f"All {plan.total:,} messages of {plan.day} were acknowledged, but the topic {target.topic} differs from "
            f"that: {', '.join(amiss)}. Somebody else changes it too. Produce the day into a topic of its own: --topic "
            "NAME --create-topic."
        )


def _unfinished(target: KafkaSettings, plan: _Plan, what: str) -> GameAnalyticsError:
    return GameAnalyticsError(
        f"{what}; {plan.day} has {plan.total:,}. The topic {target.topic} may hold a part of the day now, which can't "
        "be gone on with. Produce the day into another topic: --topic NAME --create-topic. Or delete this one before: "
        f"kafka-topics.sh --bootstrap-server {target.bootstrap_servers} --delete --topic {target.topic}"
    )


def _hour(instant: datetime) -> int:
    """The simulation's hour in which the instant lies."""
    return (instant - START) // timedelta(hours=1)
