"""`game-analytics produce`: a simulated day as messages of a Kafka topic. Landing it from there gives the same result
as landing it from the in-memory log with the same settings.

**Which messages.** All that a landing of the day reads: those delivered from 5 minutes before its midnight to an hour
after the next midnight, which includes late events. So a day published alone is complete. The next day begins where
this one ended, so nothing is published twice.

**Which timestamp.** The time of delivery, as in the in-memory log; the time of the event is in its ``ts``. With event
times as timestamps, one from a clock that is ahead would look like the end of the window and hide the late events
delivered after it, and a message that can't be decoded has no event time. Delivery times never decrease, so the newest
message shows whether days are published in order.

**Which partition.** The player's: `player % partitions`. The simulation is given the topic's number of partitions:
compare with an in-memory log of the same number.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY, milliseconds_ceil, time_text, window_of
from game_analytics.simulation.messages import delivered_at, timeline
from game_analytics.simulation.publisher import (
    AT_ONCE,
    ELSEWHERE,
    DeliveryFailed,
    Publisher,
    as_messages,
    by_partition,
    deviations,
    open_topic,
)
from game_analytics.simulation.schedule import Simulation, hour_at
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.topic import Topic

LATENESS = timedelta(minutes=60)
"""How far past midnight a day is published: the default lateness of landing."""

_LINE_EVERY_SECONDS = 10.0


def produce_day(
    console: Console, target: KafkaSettings, day: date, simulation: Simulation, *, partitions: int | None, create: bool
) -> None:
    """Publish the day and show the progress. ``partitions`` must be the topic's number if given; ``create`` creates a
    missing topic, with ``partitions`` or else the simulation's number.

    Nothing is sent unless the topic's retention keeps the day and all its messages are older. Raises
    `GameAnalyticsError`, also if Kafka refuses messages, if interrupted, or if another program writes to the topic.
    """
    _ensure_simulated_and_over(day)
    opened = open_topic(console, target, simulation, partitions=partitions, create=create)
    topic, simulation = opened.topic, opened.simulation
    if opened.created:
        plan = _Plan(day, simulation, window_of(day, LATENESS).start)
        before = dict.fromkeys(range(simulation.partitions), 0)
    else:
        plan = _plan_for(topic, target, day, simulation)
        before = topic.ends(simulation.partitions)
    started = time.monotonic()
    sent = _publish(console, target, plan)
    seconds = time.monotonic() - started
    after = topic.ends(simulation.partitions)
    mismatches = deviations({partition: end + sent[partition] for partition, end in before.items()}, after)
    _ensure_nothing_else_arrived(target, plan, mismatches)
    console.print(
        f"Published {day} to {target.topic}: {plan.total:,} messages in {seconds:.1f} s, "
        f"{plan.total / seconds:,.0f} a second\n"
        f"  delivered from {time_text(milliseconds_ceil(plan.start))} to {time_text(milliseconds_ceil(plan.end))}",
        soft_wrap=True,
    )
    for partition, first in before.items():
        console.print(f"  partition {partition:>2}   offsets {first:>11,} to {after[partition] - 1:>11,}")


@dataclass(frozen=True)
class _Plan:
    """The part of the simulated log that is published for a day: deliveries in [``start``, ``end``)."""

    day: date
    simulation: Simulation
    start: datetime

    @property
    def end(self) -> datetime:
        """The end of the day's window, which is on the hour."""
        return window_of(self.day, LATENESS).end

    @cached_property
    def total(self) -> int:
        """How many messages are published."""
        opening = hour_at(self.start)
        further = self.simulation.messages_before(hour_at(self.end)) - self.simulation.messages_before(opening + 1)
        return self._rows(opening).height + further

    def batches(self) -> Iterator[pl.DataFrame]:
        """The messages, each partition's in the order of their offsets."""
        for hour in range(hour_at(self.start), hour_at(self.end)):
            for rows in self._rows(hour).iter_slices(AT_ONCE):
                yield as_messages(rows, hour)

    def _rows(self, hour: int) -> pl.DataFrame:
        return timeline(self.simulation, hour).filter(delivered_at(hour) >= self.start)


def _publish(console: Console, target: KafkaSettings, plan: _Plan) -> Counter[int]:
    """Send the messages and wait until the cluster has acknowledged all. Returns how many each partition got.

    Raises `GameAnalyticsError` if one was refused, or when interrupted: the topic then holds a part of the day.
    """
    publisher = Publisher(target, console.print)
    sent: Counter[int] = Counter()
    with _progress(console, plan) as show:
        try:
            for batch in plan.batches():
                publisher.queue(batch)
                sent += by_partition(batch)
                show(sent.total() - publisher.left())
            while left := publisher.settle(0.5):
                show(sent.total() - left)
            show(sent.total())
        except DeliveryFailed as refusal:
            raise _unfinished(target, plan, f"Kafka did not take all messages: {refusal}") from None
        except KeyboardInterrupt:
            with suppress(DeliveryFailed):
                publisher.settle(5)
            # Not exact: the batch that was being queued is not counted.
            taken = max(0, sent.total() - publisher.left())
            raise _unfinished(target, plan, f"Interrupted after about {taken:,} messages") from None
        finally:
            publisher.give_up()
    return sent


@contextmanager
def _progress(console: Console, plan: _Plan) -> Iterator[Callable[[int], None]]:
    """A function that shows how many messages were delivered: a bar in a terminal, else a line every ten seconds."""
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
    """The plan for an existing topic: the day's whole window, or only what follows the day before if the topic ends
    with that.

    Raises `GameAnalyticsError` if the topic would not keep it, or holds anything else that is newer.
    """
    start, end_of_the_day_before = window_of(day, LATENESS).start, window_of(day - timedelta(days=1), LATENESS).end
    topic.ensure_it_keeps(start, simulation.events_per_day // simulation.partitions)
    newest = topic.newest(simulation.partitions)
    if all(message.timestamp_ms < milliseconds_ceil(start) for message in newest.values()):
        return _Plan(day, simulation, start)
    timestamps = {partition: message.timestamp_ms for partition, message in newest.items()}
    if timestamps == _last_delivered(simulation, hour_at(end_of_the_day_before) - 1):
        return _Plan(day, simulation, end_of_the_day_before)
    partition, latest = max(newest.items(), key=lambda item: item[1].timestamp_ms)
    holds = (
        f"The topic {target.topic} holds messages up to {time_text(latest.timestamp_ms)} (partition {partition}, "
        f"offset {latest.offset})"
    )
    elsewhere = f"Nothing was sent. Produce the day into {ELSEWHERE}"
    if latest.timestamp_ms < milliseconds_ceil(end_of_the_day_before):
        raise GameAnalyticsError(
            f"{holds}, and they are not the whole day before {day} as these settings simulate it. If that day was "
            "produced with others (events, seed, shares), use those. If it was interrupted, it can't be completed. "
            f"{elsewhere}"
        )
    raise GameAnalyticsError(
        f"{holds}, so {day} is there already or would come too late: a day is found by time, so days must come in "
        f"order and each once. {elsewhere}"
    )


def _last_delivered(simulation: Simulation, hour: int) -> dict[int, int]:
    """The timestamp of each partition's last message of the hour."""
    last = timeline(simulation, hour).group_by("partition").agg(delivered_at(hour).dt.epoch("ms").max().alias("last"))
    return dict(last.iter_rows())


def _ensure_simulated_and_over(day: date) -> None:
    end = window_of(day, LATENESS).end
    if day < FIRST_DAY:
        raise GameAnalyticsError(f"{day} is before {FIRST_DAY}, the first simulated day. Choose a later one.")
    if end > datetime.now(UTC):
        raise GameAnalyticsError(
            f"{day} is not over: its last messages are delivered until {time_text(milliseconds_ceil(end))}. Choose "
            "an earlier day."
        )


def _ensure_nothing_else_arrived(target: KafkaSettings, plan: _Plan, mismatches: str) -> None:
    """Raises `GameAnalyticsError` if a partition did not grow by exactly the messages that were sent to it."""
    if mismatches:
        raise GameAnalyticsError(
            f"All {plan.total:,} messages of {plan.day} were acknowledged, but the topic {target.topic} differs from "
            f"that: {mismatches}. Another program changes it too. Produce the day into a topic of its own: "
            "--topic NAME --create-topic."
        )


def _unfinished(target: KafkaSettings, plan: _Plan, what: str) -> GameAnalyticsError:
    return GameAnalyticsError(
        f"{what}; {plan.day} has {plan.total:,}. The topic {target.topic} may hold a part of the day now, which can't "
        "be completed. Produce the day into another topic: --topic NAME --create-topic. Or delete this one before: "
        f"kafka-topics.sh --bootstrap-server {target.bootstrap_servers} --delete --topic {target.topic}"
    )
