"""Random histories of a topic over four days: partitions are added, producers' clocks are wrong, mirrors lag,
timestamps lie in the future. Tracks what became of each message once the days are landed.

A history is generated from a seed, and has its own clock.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import polars as pl

from game_analytics.lake.committed import read_landing
from game_analytics.lake.manifest import Manifest, ObjectKind
from game_analytics.landing.again import losses_of_landing_again
from game_analytics.landing.day import land_day
from game_analytics.landing.late import Finding, find_late_events
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.sources.event_log import MESSAGES, EventLog, Extent, Found
from game_analytics_tests.support.lakes import MemoryLake

FIRST = date(2025, 12, 28)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
LATENESS = timedelta(hours=1)
_MIDNIGHT = datetime(2025, 12, 28, tzinfo=UTC)


@dataclass(frozen=True)
class Sent:
    """A message: when the broker appended it, its timestamp, and its content. ``day`` is None if it can't be read."""

    partition: int
    offset: int
    appended: datetime
    stamp: datetime
    day: date | None
    value: bytes


@dataclass
class HistoryLog(EventLog):
    """The topic at the time ``now``."""

    partitions: Mapping[int, list[Sent]]
    now: datetime = _MIDNIGHT

    topic = "game-events"

    def _held(self, partition: int) -> list[Sent]:
        return [sent for sent in self.partitions[partition] if sent.appended <= self.now]

    def _present(self) -> list[int]:
        return [number for number, sent in self.partitions.items() if sent and sent[0].appended <= self.now]

    def extents(self) -> Mapping[int, Extent]:
        ends = {partition: len(self._held(partition)) for partition in self._present()}
        return {partition: Extent(0, end, end) for partition, end in ends.items()}

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        return {partition: self._first(partition, instant) for partition in self._present()}

    def _first(self, partition: int, instant: datetime) -> Found | None:
        found = next((sent for sent in self._held(partition) if sent.stamp >= instant), None)
        return None if found is None else Found(found.offset, round(found.stamp.timestamp() * 1000))

    def read(
        self,
        partition: int,
        first: int,
        end: int,
        *,
        max_messages: int,  # noqa: ARG002 - there are few
        max_bytes: int,  # noqa: ARG002
    ) -> Iterator[pl.DataFrame]:
        sent = self._held(partition)[first:end]
        if sent:
            yield pl.DataFrame(
                {
                    "kafka_offset": [each.offset for each in sent],
                    "kafka_timestamp": [round(each.stamp.timestamp() * 1000) for each in sent],
                    "value": [each.value for each in sent],
                },
                schema={"kafka_offset": pl.Int64, "kafka_timestamp": pl.Int64, "value": pl.Binary},
            ).cast(MESSAGES)


@dataclass
class History:
    """The messages, and when each day is landed (by a clock that may be ahead)."""

    log: HistoryLog
    landings: list[tuple[datetime, timedelta, date]]
    lake: MemoryLake = field(default_factory=MemoryLake)
    made: dict[date, LandingReport] = field(default_factory=dict)
    """The latest landing of each day."""

    def play(self) -> None:
        """Land the days in order, and after each what the sensor requests."""
        for moment, ahead, day in self.landings:
            self.log.now = moment
            self._land(day, moment + ahead)
            self._heal(moment + ahead)

    def _land(self, day: date, now: datetime, found_by: tuple[date, ...] = ()) -> None:
        options = LandingOptions(LATENESS, found_by=found_by)
        self.made[day] = land_day(self.log, self.lake, day, options, clock=lambda: now)

    def _heal(self, now: datetime) -> None:
        """Land days as the sensor requests, until it requests none: a landing may find further late events."""
        for _ in range(20):
            found = self.find_late_events()
            if not found:
                return
            day = found[0].day
            assert losses_of_landing_again(self.log, self.lake, day, LATENESS, now) == []
            self._land(day, now, tuple(each.found_by for each in found if each.day == day))
        raise AssertionError(f"healing does not come to an end: {self.find_late_events()}")

    def find_late_events(self) -> list[Finding]:
        return find_late_events(self.lake, DAYS, _fail)

    def manifests(self) -> dict[date, Manifest]:
        found = {day: read_landing(self.lake, day) for day in DAYS}
        return {day: standing.manifest for day, standing in found.items() if standing is not None}


def _fail(warning: str) -> None:
    raise AssertionError(warning)


def history(seed: int) -> History:
    """The history of this seed."""
    dice = Random(seed)  # noqa: S311 - no secret
    partitions = {number: _partition(dice, number) for number in range(dice.choice([1, 1, 2, 3]))}
    return History(HistoryLog(partitions), _landings(dice))


def _landings(dice: Random) -> list[tuple[datetime, timedelta, date]]:
    """Each day at 01:15 by the landing host's clock, or later after a downtime; some days twice."""
    planned = []
    for number, day in enumerate(DAYS):
        at = _MIDNIGHT + timedelta(days=number + 1, hours=1, minutes=15)
        ahead = timedelta(hours=dice.choice([0, 0, 0, 0, 1, 3]))
        planned.append(
            (at - ahead, ahead, day) if dice.random() < 0.9 else (at + timedelta(hours=30), timedelta(), day)
        )
        if dice.random() < 0.2:
            planned.append((at + timedelta(hours=dice.randrange(1, 40)), timedelta(), day))
    return sorted(planned)


def _partition(dice: Random, number: int) -> list[Sent]:
    """The events of one partition, with their timestamps and arrival times."""
    begins = (
        timedelta(hours=dice.choice([-20, -20, 0, 40, 66])) if number else timedelta(hours=dice.choice([-20, 0, 5]))
    )
    quiet = dice.random() < 0.3
    skew = timedelta(minutes=dice.choice([0, 0, 0, -20, 20, 90]))
    outages = [_outage(dice) for _ in range(dice.choice([0, 0, 1, 2]))]
    messages = []
    for happened in _moments(dice, begins, 8 if quiet else 40):
        arrives = happened + timedelta(seconds=dice.randrange(5)) + abs(skew)
        for start, end in outages:
            if start <= arrives < end:
                arrives = end
        stamp = happened + skew
        if dice.random() < 0.01:
            stamp += timedelta(days=dice.choice([1, 2, 3, 2_000]))
        messages.append((arrives, stamp, happened))
    messages.sort(key=lambda message: message[0])
    return [_sent(dice, number, offset, *message) for offset, message in enumerate(messages)]


def _moments(dice: Random, begins: timedelta, count: int) -> list[datetime]:
    start = _MIDNIGHT + begins
    seconds = int((_MIDNIGHT + timedelta(days=5) - start).total_seconds())
    return sorted(start + timedelta(seconds=dice.randrange(seconds)) for _ in range(count))


def _outage(dice: Random) -> tuple[datetime, datetime]:
    """A downtime of a mirror or producer, most often while a day is landed."""
    start = _MIDNIGHT + timedelta(days=dice.randrange(4), hours=dice.randrange(18, 26))
    return start, start + timedelta(hours=dice.choice([1, 3, 8, 30, 50]))


def _sent(dice: Random, partition: int, offset: int, arrives: datetime, stamp: datetime, happened: datetime) -> Sent:
    if dice.random() < 0.05:
        return Sent(partition, offset, arrives, stamp, None, b"not json")
    event = {"event_type": "KILL", "player_id": f"p{partition}-{offset}"}
    if dice.random() < 0.5:
        if dice.random() < 0.02:  # a clock that is days off, with the broker's timestamp
            happened += timedelta(days=dice.choice([-2, 1, 2, 3]))
        event["ts"] = f"{happened:%Y-%m-%dT%H:%M:%S}.000Z"
        return Sent(partition, offset, arrives, stamp, happened.date(), json.dumps(event).encode())
    return Sent(partition, offset, arrives, stamp, stamp.date(), json.dumps(event).encode())


@dataclass(frozen=True)
class Fates:
    """The number of messages of each outcome, and those that were lost without a report."""

    counted: int
    named: int
    to_come: int
    lost: list[Sent]


def fates(played: History) -> Fates:
    """The outcome of each event of a landed day, and of each message that can't be read."""
    manifests = played.manifests()
    raw = {day: _places(played.lake, manifest, "raw") for day, manifest in manifests.items()}
    quarantined = {place for manifest in manifests.values() for place in _places(played.lake, manifest, "quarantine")}
    counted = named = to_come = 0
    lost = []
    for messages in played.log.partitions.values():
        for sent in messages:
            place = (sent.partition, sent.offset)
            if sent.day is not None and sent.day not in manifests:
                continue
            if place in raw[sent.day] if sent.day is not None else place in quarantined:
                counted += 1
            elif _is_to_come(sent, manifests):
                to_come += 1
            elif _is_named(sent, played.made):
                named += 1
            else:
                lost.append(sent)
    return Fates(counted, named, to_come, lost)


def _places(lake: MemoryLake, manifest: Manifest, kind: ObjectKind) -> set[tuple[int, int]]:
    """Partition and offset of each message that a landing holds as this kind."""
    files = [io.BytesIO(lake.objects[key][0]) for key in manifest.keys(kind)]
    return {place for file in files for place in pl.read_parquet(file).select("kafka_partition", "kafka_offset").rows()}


def _is_to_come(sent: Sent, manifests: Mapping[date, Manifest]) -> bool:
    """Whether the landing of the next day, which begins where that of the last one ended, will read it."""
    last = manifests[max(manifests)].account(sent.partition)
    return last is None or sent.offset >= last.end


def _is_named(sent: Sent, made: Mapping[date, LandingReport]) -> bool:
    """Whether it lies before everything that was read, and the first landing has reported these offsets."""
    accounts = [account for landing in made.values() if (account := landing.manifest.account(sent.partition))]
    named = {line for landing in made.values() for line in landing.unread_before}
    first = min((account.first for account in accounts), default=0)
    return sent.offset < first and f"partition {sent.partition}: offsets 0 to {first - 1}" in named
