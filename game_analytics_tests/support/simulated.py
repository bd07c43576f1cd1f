"""Simulated topics and hours for tests, and their messages parsed with the standard library."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from game_analytics.simulation.messages import delivered_at, timeline, value
from game_analytics.simulation.schedule import Simulation
from game_analytics.simulation.trouble import MALFORMED

DAY = date(2025, 12, 30)
MIDNIGHT = 730 * 24
"""The first hour of that day: 730 days after 2023-12-31, including one 29th of February."""
EVENING = MIDNIGHT + 19

UNREADABLE = {sample: reason for reason, samples in MALFORMED.items() for sample in samples}


@dataclass(frozen=True)
class Message:
    """A message as received by a consumer."""

    partition: int
    delivered: datetime
    value: bytes | None


@dataclass(frozen=True)
class Event:
    """A kill or a death parsed from its message."""

    event_type: str
    player: str
    game: str
    event: str
    time: datetime
    delivered: datetime

    @property
    def delay(self) -> timedelta:
        return self.delivered - self.time


def small_topic() -> Simulation:
    return Simulation(events_per_day=5_000, partitions=3)


def topic_without_trouble(events_per_day: int = 20_000) -> Simulation:
    return Simulation(events_per_day=events_per_day, malformed_share=0, repeated_share=0, late_share=0)


def odd_topics() -> list[Simulation]:
    return [
        Simulation(),
        Simulation(events_per_day=1_000),  # an hour before dawn has 15 messages
        Simulation(events_per_day=800),  # the smallest for four partitions
        Simulation(events_per_day=200, partitions=1),
        Simulation(events_per_day=20_000, partitions=100),  # as many partitions as there may be, one player in each
        Simulation(events_per_day=12_347, partitions=7, seed=-5),  # nothing divides evenly
        Simulation(events_per_day=800, malformed_share=0.2, repeated_share=0.2, late_share=0.2),  # all faults
        topic_without_trouble(3_000),
    ]


def messages(simulation: Simulation, *hours: int) -> list[Message]:
    """All messages of these hours, by hour, partition and offset."""
    return [
        Message(*row)
        for hour in hours
        for row in timeline(simulation, hour)
        .select("partition", delivered=delivered_at(hour), value=value(hour))
        .iter_rows()
    ]


@cache
def a_default_day() -> list[Message]:
    """All messages of the default topic that are delivered on the day."""
    return messages(Simulation(), *range(MIDNIGHT, MIDNIGHT + 24))


@cache
def events_of_a_default_day() -> list[Event]:
    """Its distinct kills and deaths."""
    return counted_once(events(a_default_day()))


def events(delivered: Iterable[Message]) -> list[Event]:
    """The kills and deaths among them, repeated ones included."""
    found = []
    for message in delivered:
        if message.value is None or message.value in UNREADABLE:
            continue
        fields = json.loads(message.value)
        if fields["event_type"] in ("KILL", "DEATH"):
            time = datetime.fromisoformat(fields["ts"])
            names = fields["event_type"], fields["player_id"], fields["game_id"], fields["event_id"]
            found.append(Event(*names, time, message.delivered))
    return found


def counted_once(delivered: Iterable[Event]) -> list[Event]:
    """The events without repeated deliveries, by the contract's rule."""
    first = {(event.event, event.player, event.event_type): event for event in reversed(list(delivered))}
    return list(first.values())


def by_match(delivered: Iterable[Event]) -> dict[str, list[Event]]:
    """The distinct events of each match by time."""
    matches = defaultdict(list)
    for event in sorted(counted_once(delivered), key=lambda event: (event.time, event.event)):
        matches[event.game].append(event)
    return dict(matches)


def digest(delivered: list[Message]) -> str:
    """SHA-256 of everything that a consumer sees of the messages."""
    lines = [f"{message.partition} {message.delivered.isoformat()} {message.value!r}" for message in delivered]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
