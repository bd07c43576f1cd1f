"""The in-memory log behaves like a topic: offsets without gaps, look-ups by time, bounded batches, an end at now."""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import polars as pl
import pytest

from game_analytics.defs.resources import MemoryEventLogResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.schedule import START, Simulation
from game_analytics.sources.event_log import MESSAGES, Extent, Found

NOW = datetime(2024, 1, 1, 3, 20, 30, 500_000, tzinfo=UTC)
"""A day and some hours after the topic's start."""

ALL = 10**9


@dataclass(frozen=True)
class StoppedClock:
    """A clock that always shows the same time."""

    moment: datetime

    def __call__(self) -> datetime:
        return self.moment


def small_log(now: datetime = NOW) -> MemoryEventLog:
    return MemoryEventLog(Simulation(events_per_day=2_000, partitions=3), StoppedClock(now))


def everything(log: MemoryEventLog, partition: int) -> pl.DataFrame:
    return one_frame(log.read(partition, 0, ALL, max_messages=ALL, max_bytes=ALL))


def one_frame(batches: Iterable[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([MESSAGES.to_frame(), *batches])


def milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)


def by_scanning(log: MemoryEventLog, partition: int, instant: datetime) -> Found | None:
    """The first message at or after the instant, found by reading all of them."""
    for offset, timestamp, _ in everything(log, partition).iter_rows():
        if timestamp >= instant:
            return Found(offset, milliseconds(timestamp))
    return None


def test_the_log_holds_all_messages_since_its_start_without_a_gap() -> None:
    log = small_log()
    for partition, extent in log.extents().items():
        messages = everything(log, partition)
        assert messages.schema == MESSAGES
        assert messages["kafka_offset"].to_list() == list(range(extent.high))
        assert messages["kafka_timestamp"].is_sorted()
        assert messages["kafka_timestamp"][0] == START


def test_a_day_has_as_many_messages_as_the_setting() -> None:
    log = small_log(START + timedelta(days=2))
    assert sum(extent.high for extent in log.extents().values()) == 4_000


def test_the_log_ends_before_now() -> None:
    log, later = small_log(), small_log(NOW + timedelta(hours=2))
    for partition, extent in log.extents().items():
        assert extent == Extent(low=0, high=extent.high, stable=extent.high)
        times = everything(later, partition)["kafka_timestamp"]
        assert times[extent.high - 1] < NOW <= times[extent.high]


def test_delivered_messages_do_not_change_as_time_passes() -> None:
    log, later = small_log(), small_log(NOW + timedelta(hours=2))
    for partition, extent in log.extents().items():
        longer = everything(later, partition)
        assert longer.height > extent.high
        assert everything(log, partition).equals(longer.head(extent.high))


@pytest.mark.parametrize("now", [START, START - timedelta(days=400)])
def test_before_its_first_message_the_log_is_empty(now: datetime) -> None:
    log = small_log(now)
    assert log.extents() == {partition: Extent(0, 0, 0) for partition in range(3)}
    assert log.first_at_or_after(START - timedelta(days=500)) == {0: None, 1: None, 2: None}
    assert everything(log, 0).is_empty()


@pytest.mark.parametrize(
    "instant",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        START - timedelta(microseconds=1),
        START,
        START + timedelta(microseconds=1),  # timestamps are in milliseconds, so the first message is before this
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2023, 12, 31, 23, 55, tzinfo=UTC),
        datetime(2023, 12, 31, 12, 30, 17, 123_000, tzinfo=UTC),
        datetime(2023, 12, 31, 12, 59, 59, 999_000, tzinfo=UTC),  # only the next hour has one
        datetime(2023, 12, 31, 12, 59, 59, 999_001, tzinfo=UTC),
        datetime(2024, 1, 1, 6, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        NOW - timedelta(minutes=2),
        NOW - timedelta(milliseconds=1),
        NOW,
        NOW + timedelta(milliseconds=1),
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
    ],
)
def test_a_look_up_finds_what_a_scan_finds(instant: datetime) -> None:
    log = small_log()
    found = log.first_at_or_after(instant)
    assert found == {partition: by_scanning(log, partition, instant) for partition in range(3)}


def test_a_look_up_on_the_hour_generates_no_messages() -> None:
    # Generating even one hour of this topic would take days.
    endless = MemoryEventLog(Simulation(events_per_day=10**12, partitions=2), StoppedClock(START + timedelta(days=9)))
    assert endless.first_at_or_after(START + timedelta(days=1)) == {
        0: Found(5 * 10**11, milliseconds(START + timedelta(days=1))),
        1: Found(5 * 10**11, milliseconds(START + timedelta(days=1))),
    }
    assert endless.extents()[1].high == 45 * 10**11


@pytest.mark.parametrize("max_messages", [1, 7, 100, ALL])
def test_a_batch_has_at_most_max_messages(max_messages: int) -> None:
    log = small_log()
    whole = everything(log, 1)
    batches = list(log.read(1, 300, 600, max_messages=max_messages, max_bytes=ALL))
    assert max(batch.height for batch in batches) == min(max_messages, 300)
    assert one_frame(batches).equals(whole.slice(300, 300))


@pytest.mark.parametrize("max_bytes", [500, 4_096, 100_000])
def test_the_values_of_a_batch_have_at_most_max_bytes(max_bytes: int) -> None:
    log = small_log()
    whole = everything(log, 1)
    batches = list(log.read(1, 0, ALL, max_messages=ALL, max_bytes=max_bytes))
    sizes = [sum(len(value or b"") for value in batch["value"]) for batch in batches]
    assert max_bytes * 0.6 < max(sizes) <= max_bytes
    assert one_frame(batches).equals(whole)


def test_a_message_larger_than_max_bytes_is_a_batch_of_its_own() -> None:
    log = small_log()
    batches = list(log.read(1, 0, 20, max_messages=ALL, max_bytes=1))
    assert [batch.height for batch in batches] == [1] * 20
    assert one_frame(batches).equals(everything(log, 1).head(20))


def test_a_range_may_be_split_at_any_offset() -> None:
    log = small_log()
    whole = everything(log, 2)
    cuts = [0, 1, 250, 251, 666, 667, whole.height]
    parts = [one_frame(log.read(2, first, end, max_messages=300, max_bytes=ALL)) for first, end in pairwise(cuts)]
    assert pl.concat(parts).equals(whole)


def test_offsets_outside_the_log_are_left_out() -> None:
    log = small_log()
    high = log.extents()[0].high
    assert one_frame(log.read(0, high - 2, high + 50, max_messages=10, max_bytes=ALL)).height == 2
    assert one_frame(log.read(0, -3, 2, max_messages=10, max_bytes=ALL))["kafka_offset"].to_list() == [0, 1]
    assert list(log.read(0, high, high + 50, max_messages=10, max_bytes=ALL)) == []
    assert list(log.read(0, 5, 5, max_messages=10, max_bytes=ALL)) == []


def test_a_log_can_be_sent_to_another_process() -> None:
    log = small_log()
    copy = pickle.loads(pickle.dumps(log))  # noqa: S301 - our own bytes
    assert copy == log
    assert copy.extents() == log.extents()


def test_the_topic_is_named_by_its_settings() -> None:
    assert MemoryEventLog(Simulation()).topic == "simulation-seed7-100000x4-malformed0.002-repeated0.005-late0.005"


@pytest.mark.parametrize(
    "other",
    [
        replace(Simulation(), seed=8),
        replace(Simulation(), events_per_day=100_001),
        replace(Simulation(), partitions=5),
        replace(Simulation(), malformed_share=0),
        replace(Simulation(), repeated_share=0),
        replace(Simulation(), late_share=0),
    ],
)
def test_other_settings_are_another_topic(other: Simulation) -> None:
    assert MemoryEventLog(other).topic != MemoryEventLog(Simulation()).topic


def test_the_log_is_marked_as_simulated_and_uses_the_real_clock() -> None:
    log = MemoryEventLogResource().open()
    assert log.simulated
    assert log == MemoryEventLog(Simulation())
    before = datetime.now(UTC) - timedelta(minutes=1)
    found = log.first_at_or_after(before)[0]
    assert found is None or found.timestamp_ms >= milliseconds(before)
    assert log.first_at_or_after(datetime.now(UTC) + timedelta(minutes=1))[0] is None


def test_the_resource_passes_its_settings_on() -> None:
    resource = MemoryEventLogResource(
        seed=1, events_per_day=4_000, partitions=2, malformed_share=0.1, repeated_share=0.02, late_share=0.03
    )
    assert resource.open() == MemoryEventLog(Simulation(1, 4_000, 2, 0.1, 0.02, 0.03))


def test_settings_out_of_bounds_are_refused_when_the_log_is_opened() -> None:
    resource = MemoryEventLogResource(events_per_day=10)
    with pytest.raises(GameAnalyticsError, match="events_per_day is 10, but must be at least 800"):
        resource.open()
