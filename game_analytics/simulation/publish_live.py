"""`game-analytics produce --follow`: the simulated matches of the last days, then today's as they happen, until it is
stopped. For a demonstration, and to try out what runs by itself.

**When.** A message is sent once its delivery is over by the clock, which is looked at every second; until then as many
are in the topic as the in-memory log delivers by then. Timestamps, keys and partitions are those of `produce_day`.

**Where.** Where the topic ends, if it holds what was published before; so it may be stopped, killed or away for weeks,
and nothing is missing or there twice. Nothing is remembered anywhere else.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

import polars as pl
from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY, LEAD, milliseconds_ceil, time_text, window_of
from game_analytics.simulation.log import utc_now
from game_analytics.simulation.messages import timeline
from game_analytics.simulation.publisher import (
    AT_ONCE,
    ELSEWHERE,
    NotTaken,
    Opened,
    Publisher,
    as_messages,
    by_partition,
    deviations,
    open_topic,
)
from game_analytics.simulation.schedule import Simulation, hour_at, start_of
from game_analytics.simulation.stretch import Standing, endless, firsts_at, next_delivery, standing_of
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog

_LOOK_EVERY_SECONDS = 1.0
_LINE_EVERY = timedelta(minutes=1)
_LAST_WAIT_SECONDS = 5.0
_LINGER_MS = 5


@dataclass(frozen=True)
class Pace:
    """What time it is, how to wait, and whether to go on; a test brings its own."""

    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    stopped: Callable[[], bool] = lambda: False


def follow_matches(
    console: Console,
    target: KafkaSettings,
    simulation: Simulation,
    *,
    days: int,
    partitions: int | None,
    create: bool,
    pace: Pace,
) -> None:
    """Publish the whole days before today, so many, and go on as time does until ``pace`` says stop. ``partitions`` and
    ``create`` are those of `produce_day`.

    Nothing is sent unless the topic will keep the days, and holds nothing but a stretch of the simulated log, which is
    gone on with. Raises `GameAnalyticsError`; started again, it goes on.
    """
    first_day = _first_day(pace.clock().date(), days)
    opened = open_topic(console, target, simulation, partitions=partitions, create=create)
    standing = _standing(opened, target, window_of(first_day, timedelta()).start, pace)
    _Follower(console, target, opened, standing, pace).run()


def due(simulation: Simulation, position: Mapping[int, int], now: datetime) -> Iterator[pl.DataFrame]:
    """The messages from these offsets of the simulated log on that are delivered before now, as `as_messages` gives
    them, in the order of their delivery."""
    hours = [simulation.hour_of(partition, offset) for partition, offset in position.items()]
    for hour in range(min(hours), hour_at(now) + 1):
        wanted = pl.lit(pl.Series([position[partition] for partition in range(simulation.partitions)]))
        elapsed_ms = milliseconds_ceil(now) - milliseconds_ceil(start_of(hour))
        rows = _numbered(simulation, hour).filter(
            pl.col("offset") >= wanted.gather("partition"), pl.col("delivered_ms") < elapsed_ms
        )
        for batch in rows.sort("delivered_ms", maintain_order=True).iter_slices(AT_ONCE):
            yield as_messages(batch, hour)


@lru_cache(maxsize=2)
def _numbered(simulation: Simulation, hour: int) -> pl.DataFrame:
    """The hour's timeline with each message's ``offset`` in its partition. It is asked for every second."""
    firsts = pl.Series([simulation.first_offset(partition, hour) for partition in range(simulation.partitions)])
    offset = pl.lit(firsts).gather("partition") + pl.int_range(pl.len()).over("partition")
    return timeline(simulation, hour).with_columns(offset=offset)


class _Follower:
    """Publishes from where the topic stands."""

    def __init__(self, console: Console, target: KafkaSettings, opened: Opened, standing: Standing, pace: Pace) -> None:
        self._console = console
        self._target = target
        self._topic = opened.topic
        self._simulation = opened.simulation
        self._ends = standing.ends
        self._position = dict(standing.position)
        self._sent: Counter[int] = Counter()
        self._pace = pace
        self._next_line = pace.clock() + _LINE_EVERY
        start = next_delivery(endless(self._simulation), self._position)
        self._reached_ms = milliseconds_ceil(start)
        self._day = (start + LEAD).date()
        self._publisher = Publisher(target, self._say, _LINGER_MS)

    def run(self) -> None:
        """Until it is told to stop. Raises `GameAnalyticsError` if something is in the way that does not pass."""
        self._say(f"Publishing to {self._target.topic} what is delivered from {time_text(self._reached_ms)} on")
        caught_up = False
        try:
            while not self._pace.stopped():
                if self._send_what_is_due() and not caught_up:
                    caught_up = True
                    self._say(f"Caught up, {self._so_far()}. From here on as it happens")
                self._pace.sleep(_LOOK_EVERY_SECONDS)
        except NotTaken as refusal:
            raise GameAnalyticsError(
                f"Kafka did not take all messages: {refusal}. Those up to {time_text(self._reached_ms)} are in the "
                f"topic {self._target.topic}. Started again, it goes on where that ends."
            ) from None
        finally:
            self._publisher.give_up()
        self._say(f"Stopped, {self._so_far()}. Started again, it goes on where the topic ends")

    def _send_what_is_due(self) -> bool:
        """Whether all of it was sent, and acknowledged; else it was told to stop in the middle."""
        for batch in due(self._simulation, self._position, self._pace.clock()):
            self._publisher.queue(batch)
            if not self._settled():
                return False
            self._count(batch)
            self._tell()
            if self._pace.stopped():
                return False
        return True

    def _settled(self) -> bool:
        while self._publisher.settle(_LOOK_EVERY_SECONDS):
            if self._pace.stopped():
                return not self._publisher.settle(_LAST_WAIT_SECONDS)
        return True

    def _count(self, batch: pl.DataFrame) -> None:
        for partition, count in by_partition(batch).items():
            self._position[partition] += count
            self._sent[partition] += count
        self._reached_ms = batch.select(pl.col("timestamp").max()).item()

    def _tell(self) -> None:
        """A line for each whole day, and one a minute; that is also when the topic is looked at."""
        now, day = self._pace.clock(), self._next_day()
        if day > self._day:
            self._say(f"{self._day} is complete: {self._simulation.events_per_day:,} messages")
            self._day = day
        elif now >= self._next_line:
            self._say(f"{time_text(milliseconds_ceil(now))}: {self._so_far()}")
        else:
            return
        self._next_line = now + _LINE_EVERY
        self._ensure_it_grows_by_ours()

    def _next_day(self) -> date:
        """Of the message that comes next."""
        hours = [self._simulation.hour_of(partition, offset) for partition, offset in self._position.items()]
        return start_of(min(hours)).date()

    def _so_far(self) -> str:
        return f"{self._sent.total():,} messages were published, up to {time_text(self._reached_ms)}"

    def _ensure_it_grows_by_ours(self) -> None:
        try:
            ends = self._topic.ends(self._simulation.partitions)
        except GameAnalyticsError:  # whether anything gets there is the publisher's affair
            return
        _ensure_alone(
            self._target, {partition: end + self._sent[partition] for partition, end in self._ends.items()}, ends
        )

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _first_day(today: date, days: int) -> date:
    if days > (today - FIRST_DAY).days:
        raise GameAnalyticsError(
            f"{days} days ago is before {FIRST_DAY}, the first day that there is. Choose fewer with --days."
        )
    return today - timedelta(days=days)


def _standing(opened: Opened, target: KafkaSettings, start: datetime, pace: Pace) -> Standing:
    """Where the topic stands, once it is sure that it stays there unless something is sent."""
    topic, simulation, simulated = opened.topic, opened.simulation, endless(opened.simulation)
    if opened.made:
        return Standing(dict.fromkeys(range(simulation.partitions), 0), firsts_at(simulated, start))
    log = KafkaEventLog(replace(target, patience=target.answers_within))
    standing = standing_of(log, simulation, start)
    oldest = min(start, next_delivery(simulated, standing.position))
    days = (pace.clock() - oldest) // timedelta(days=1) + 1
    topic.ensure_it_keeps(oldest, days * simulation.events_per_day // simulation.partitions)
    # One that was killed a time_text ago may have left messages that are still on their way into the topic.
    pace.sleep(_LOOK_EVERY_SECONDS)
    _ensure_alone(target, standing.ends, topic.ends(simulation.partitions))
    return standing


def _ensure_alone(target: KafkaSettings, expected: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Raises `GameAnalyticsError` if the topic does not end where it must if nobody else writes to it."""
    amiss = deviations(expected, ends)
    if amiss:
        raise GameAnalyticsError(
            f"The topic {target.topic} differs from what was published to it: {amiss}. Somebody else changes it too, "
            "perhaps another --follow. Start again once that has ended; if the topic was spoilt, that tells. Or follow "
            f"into {ELSEWHERE}"
        )
