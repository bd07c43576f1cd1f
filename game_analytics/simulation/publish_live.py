"""`game-analytics produce --follow`: the simulated matches of the last days, then today's as they happen, until it is
stopped. For demonstrations, and to try out schedules and sensors.

**When.** A message is sent once the clock, checked every second, has passed its delivery time. So the topic holds what
the in-memory log has delivered. Timestamps, keys and partitions are those of `produce_day`.

**Where.** Each partition resumes at the timestamp of its newest message. It may be stopped, killed or not run
for weeks without losing any, since a partition always holds the first ones of its messages. Those of the same
millisecond, or in flight when it was killed, are there twice; the pipeline counts an ``event_id`` once. No other state
is kept.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import polars as pl
from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY, LEAD, milliseconds_ceil, time_text, window_of
from game_analytics.simulation.log import MemoryEventLog, utc_now
from game_analytics.simulation.messages import timeline
from game_analytics.simulation.publisher import (
    AT_ONCE,
    ELSEWHERE,
    DeliveryFailed,
    Opened,
    Publisher,
    as_messages,
    by_partition,
    deviations,
    open_topic,
)
from game_analytics.simulation.schedule import START, Simulation, hour_at, start_of
from game_analytics.sources.event_log import EventLog, Found, Reader
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog

_CHECK_EVERY_SECONDS = 1.0
_LINE_EVERY = timedelta(minutes=1)
_LAST_WAIT_SECONDS = 5.0
_LINGER_MS = 5
_CHECKED = 10
"""How many last messages of a partition must be simulated ones. The first of an hour is the same for every seed."""
_CLOCKS_DIFFER = timedelta(minutes=1)
"""How far a topic may be ahead of the clock, which may have been set back or belong to another machine."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)

_Content = tuple[int | None, bytes | None]
"""A message's timestamp in milliseconds since 1970, and its value."""


@dataclass(frozen=True)
class Pace:
    """The clock, how to wait, and whether to stop; tests pass their own."""

    clock: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class _State:
    """By partition: the end offset of the topic, and the message of the simulated log that is sent next."""

    ends: Mapping[int, int]
    upcoming: Mapping[int, Found]


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
    """Publish the last ``days`` whole days, then today's matches as they happen, until ``pace.stopped()``.
    ``partitions`` and ``create`` are those of `produce_day`.

    Nothing is sent unless the topic's retention keeps the days, it ends with simulated messages of the past, and no
    other program writes to it. Raises `GameAnalyticsError`; started again, it resumes.
    """
    first_day = _first_day(pace.clock().date(), days)
    opened = open_topic(console, target, simulation, partitions=partitions, create=create)
    state = _state_of(opened, target, window_of(first_day, timedelta()).start, pace)
    _Follower(console, target, opened, state, pace).run()


def due(simulation: Simulation, position: Mapping[int, int], now: datetime) -> Iterator[pl.DataFrame]:
    """The messages of the simulated log from these offsets on that are delivered before ``now``, in the order of
    delivery, as `as_messages` returns them."""
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
    """The hour's timeline with each message's ``offset`` in its partition. Cached, as it is needed every second."""
    firsts = pl.Series([simulation.first_offset(partition, hour) for partition in range(simulation.partitions)])
    offset = pl.lit(firsts).gather("partition") + pl.int_range(pl.len()).over("partition")
    return timeline(simulation, hour).with_columns(offset=offset)


class _Follower:
    """Publishes what follows the end of the topic."""

    def __init__(self, console: Console, target: KafkaSettings, opened: Opened, state: _State, pace: Pace) -> None:
        self._console = console
        self._target = target
        self._topic = opened.topic
        self._simulation = opened.simulation
        self._ends = state.ends
        self._position = {partition: message.offset for partition, message in state.upcoming.items()}
        self._sent: Counter[int] = Counter()
        self._pace = pace
        self._next_line = pace.clock() + _LINE_EVERY
        self._reached_ms = _earliest_ms(state)
        self._day = (_instant(self._reached_ms) + LEAD).date()
        self._publisher = Publisher(target, self._say, _LINGER_MS)

    def run(self) -> None:
        """Publish until ``pace.stopped()``. Raises `GameAnalyticsError` if Kafka refuses one or is away too long."""
        self._say(f"Publishing to {self._target.topic} what is delivered from {time_text(self._reached_ms)} on")
        caught_up = False
        try:
            while not self._pace.stopped():
                if self._send_what_is_due() and not caught_up:
                    caught_up = True
                    self._say(f"Caught up, {self._so_far()}. From here on as it happens")
                self._pace.sleep(_CHECK_EVERY_SECONDS)
        except DeliveryFailed as failure:
            raise GameAnalyticsError(
                f"Kafka did not take all messages: {failure}. Those up to {time_text(self._reached_ms)} are in the "
                f"topic {self._target.topic}. Started again, it resumes where that ends."
            ) from None
        finally:
            self._publisher.give_up()
        self._say(f"Stopped, {self._so_far()}. Started again, it resumes where the topic ends")

    def _send_what_is_due(self) -> bool:
        """Returns whether everything was sent and acknowledged; False if ``pace.stopped()`` before."""
        for batch in due(self._simulation, self._position, self._pace.clock()):
            self._publisher.queue(batch)
            if not self._is_acknowledged():
                return False
            self._count(batch)
            self._report()
            if self._pace.stopped():
                return False
        return True

    def _is_acknowledged(self) -> bool:
        while self._publisher.settle(_CHECK_EVERY_SECONDS):
            if self._pace.stopped():
                return not self._publisher.settle(_LAST_WAIT_SECONDS)
        return True

    def _count(self, batch: pl.DataFrame) -> None:
        for partition, count in by_partition(batch).items():
            self._position[partition] += count
            self._sent[partition] += count
        self._reached_ms = batch.select(pl.col("timestamp").max()).item()

    def _report(self) -> None:
        """Print a line for each whole day, and one a minute; then also check that no other program writes."""
        now, day = self._pace.clock(), self._next_day()
        if day > self._day:
            self._say(f"{self._day} is complete: {self._simulation.events_per_day:,} messages")
            self._day = day
        elif now >= self._next_line:
            self._say(f"{time_text(milliseconds_ceil(now))}: {self._so_far()}")
        else:
            return
        self._next_line = now + _LINE_EVERY
        self._ensure_only_ours_arrived()

    def _next_day(self) -> date:
        """The day of the next message."""
        hours = [self._simulation.hour_of(partition, offset) for partition, offset in self._position.items()]
        return start_of(min(hours)).date()

    def _so_far(self) -> str:
        return f"{self._sent.total():,} messages were published, up to {time_text(self._reached_ms)}"

    def _ensure_only_ours_arrived(self) -> None:
        try:
            ends = self._topic.ends(self._simulation.partitions)
        except GameAnalyticsError:  # the publisher notices if the cluster is away
            return
        _ensure_alone(
            self._target, {partition: end + self._sent[partition] for partition, end in self._ends.items()}, ends
        )

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _first_day(today: date, days: int) -> date:
    if days > (today - FIRST_DAY).days:
        raise GameAnalyticsError(
            f"{days} days ago is before {FIRST_DAY}, the first simulated day. Choose fewer with --days."
        )
    return today - timedelta(days=days)


def _state_of(opened: Opened, target: KafkaSettings, start: datetime, pace: Pace) -> _State:
    """The state of the topic; if it has no messages, its partitions begin at ``start``. Takes a second, to notice if
    another program writes to it."""
    topic, simulation = opened.topic, opened.simulation
    simulated = MemoryEventLog(simulation, clock=lambda: _END)
    if opened.created:
        starts = dict.fromkeys(range(simulation.partitions), start)
        return _State(dict.fromkeys(starts, 0), _firsts_at(simulated, starts))
    log = KafkaEventLog(replace(target, patience=target.answers_within))
    extents, newest = log.extents(), topic.newest(simulation.partitions)
    ends = {partition: extent.high for partition, extent in extents.items()}
    with log.reader() as reader:
        for partition, message in newest.items():
            extent = extents[partition]
            for offset in sorted({message.offset, *range(max(extent.low, extent.high - _CHECKED), extent.high)}):
                end = min(offset + 1, extent.stable)
                content = next(_contents(reader, partition, offset, end), None)
                if not _is_simulated(content, simulated, partition, pace.clock() + _CLOCKS_DIFFER):
                    raise _not_simulated(log.topic, partition, offset, content)
    beginning = _beginning(log) if newest else start
    starts = {p: _instant(newest[p].timestamp_ms) if p in newest else beginning for p in ends}
    state = _State(ends, _firsts_at(simulated, starts))
    oldest = min(start, _instant(_earliest_ms(state)))
    days = (pace.clock() - oldest) // timedelta(days=1) + 1
    topic.ensure_it_keeps(oldest, days * simulation.events_per_day // simulation.partitions)
    pace.sleep(_CHECK_EVERY_SECONDS)
    _ensure_alone(target, ends, topic.ends(simulation.partitions))
    return state


def _beginning(log: EventLog) -> datetime:
    """Where a partition without messages begins if others have some: at the window of the topic's first day."""
    oldest = min(first.timestamp_ms for first in log.first_at_or_after(_EPOCH).values() if first is not None)
    return window_of((_instant(oldest) + LEAD).date(), timedelta()).start


def _is_simulated(content: _Content | None, simulated: EventLog, partition: int, end: datetime) -> bool:
    """Whether this is a message that the simulated log delivers to the partition before ``end``."""
    if content is None or content[0] is None or not milliseconds_ceil(START) <= content[0] < milliseconds_ceil(end):
        return False
    instant = _instant(content[0])
    first, behind = (
        _firsts_at(simulated, {partition: moment})[partition].offset
        for moment in (instant, instant + timedelta(milliseconds=1))
    )
    return content in _contents(simulated, partition, first, behind)


def _not_simulated(topic: str, partition: int, offset: int, content: _Content | None) -> GameAnalyticsError:
    what = "part of a transaction, or compacted"
    if content is not None:
        what = "without a timestamp" if content[0] is None else f"stamped {time_text(content[0])}"
    return GameAnalyticsError(
        f"The topic {topic} does not end with what these settings simulate: partition {partition}, offset {offset} "
        f"({what}) is another message, or ahead of the clock. Nothing was sent. If the topic was published with other "
        f"settings (--events, --seed, shares), use those. Else follow into {ELSEWHERE}"
    )


def _contents(reader: Reader, partition: int, first: int, end: int) -> Iterator[_Content]:
    for batch in reader.read(partition, first, end, max_messages=max(1, end - first), max_bytes=1_000_000):
        yield from batch.select(pl.col("kafka_timestamp").dt.epoch("ms"), "value").iter_rows()


def _firsts_at(simulated: EventLog, starts: Mapping[int, datetime]) -> dict[int, Found]:
    """The first message of each partition of the simulated log that is delivered at its start or later."""
    firsts = {partition: simulated.first_at_or_after(start)[partition] for partition, start in starts.items()}
    return {partition: first for partition, first in firsts.items() if first is not None}


def _earliest_ms(state: _State) -> int:
    return min(message.timestamp_ms for message in state.upcoming.values())


def _instant(timestamp_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=timestamp_ms)


def _ensure_alone(target: KafkaSettings, expected: Mapping[int, int], ends: Mapping[int, int]) -> None:
    """Raises `GameAnalyticsError` if the topic does not end where it must if no other program writes to it."""
    mismatches = deviations(expected, ends)
    if mismatches:
        raise GameAnalyticsError(
            f"The topic {target.topic} differs from what was published to it: {mismatches}. Another program changes it "
            f"too, perhaps a second --follow. Start again once that has ended. Or follow into {ELSEWHERE}"
        )
