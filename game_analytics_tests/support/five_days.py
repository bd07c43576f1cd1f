"""Definitions for runs in other processes: five days with two kills each, some of which the log can't deliver.

Lake and broken days come from the environment.
"""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl

from game_analytics.definitions import pipeline
from game_analytics.defs.resources import PipelineSettings, lake_resource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.settings import read_settings
from game_analytics.sources.event_log import MESSAGES
from game_analytics_tests.support.harness import given_log
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import kill

DAYS = tuple(date(2025, 12, number) for number in range(1, 6))
FIRST, SECOND, THIRD, FOURTH, FIFTH = map(str, DAYS)


@dataclass
class FaultyLog(ListedLog):
    """A log that can't deliver certain days: it raises the day's error, or blocks if there is none."""

    faults: Mapping[date, Exception | None] = field(default_factory=dict)

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        for message in self._held(partition):
            day = message.delivered.date()
            if first <= message.offset < end and day in self.faults:
                yield from _undelivered(self.faults[day])
        yield from super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


def _undelivered(fault: Exception | None) -> Iterator[pl.DataFrame]:
    if fault is not None:
        raise fault
    while True:
        time.sleep(0.1)
        yield MESSAGES.to_frame()  # a sign of life, as while waiting for a broker


def five_days(
    faults: Mapping[date, Exception | None], empty: Collection[date] = (), unreadable: Collection[date] = ()
) -> FaultyLog:
    """Two kills about noon of each day, all in one partition; on unreadable days two messages that are no JSON."""
    noons = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in DAYS if day not in empty]
    delivered = [noon + timedelta(minutes=minute) for noon in noons for minute in (0, 1)]
    values = [b"oops" if moment.date() in unreadable else kill() for moment in delivered]
    messages = [Message(offset, *message) for offset, message in enumerate(zip(delivered, values, strict=True))]
    return FaultyLog({0: messages}, faults=faults)


def faults_named(text: str) -> dict[date, Exception | None]:
    """The faults by day, as ``damaged 2025-12-03, silent 2025-12-04``; ``gone`` is a service that has been waited
    for."""
    named = [fault.split() for fault in text.split(",") if fault.strip()]
    return {date.fromisoformat(day): _FAULTS[kind] for kind, day in named}


_FAULTS = {
    "damaged": GameAnalyticsError("the segment is damaged"),
    "gone": Unavailable("the broker went away", waited=True),
    "silent": None,
}

defs = pipeline(
    given_log(five_days(faults_named(os.environ.get("FAULTS", "")))), lake_resource(read_settings()), PipelineSettings()
)
