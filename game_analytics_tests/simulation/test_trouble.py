"""The faults of the simulated topic, and how often they occur."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from game_analytics.rules.events import classify
from game_analytics.simulation.schedule import Simulation, start_of
from game_analytics.simulation.trouble import MALFORMED, malformed
from game_analytics.sources.formats.json import decode
from game_analytics_tests.support.simulated import (
    DAY,
    MIDNIGHT,
    UNREADABLE,
    Message,
    a_default_day,
    counted_once,
    events,
    events_of_a_default_day,
    messages,
    topic_without_trouble,
)

JSON = decode

REASONS = [
    "tombstone",
    "compressed",
    "avro_or_protobuf",
    "not_utf8",
    "not_json",
    "batch",
    "not_an_object",
    "missing_event_type",
    "bad_event_type",
    "missing_player_id",
    "bad_player_id",
    "bad_game_id",
    "bad_event_id",
    "bad_ts",
]


def test_there_are_samples_for_each_reason_of_the_contract_in_its_order() -> None:
    assert list(MALFORMED) == REASONS


@pytest.mark.parametrize(
    ("reason", "sample"), [(reason, sample) for reason, samples in MALFORMED.items() for sample in samples]
)
def test_a_sample_is_quarantined_for_the_reason_that_it_is_listed_under(reason: str, sample: bytes | None) -> None:
    message = pl.DataFrame(
        {"kafka_offset": [0], "kafka_timestamp": [datetime(2025, 12, 30, tzinfo=UTC)], "value": [sample]},
        schema={"kafka_offset": pl.Int64, "kafka_timestamp": pl.Datetime("ms", "UTC"), "value": pl.Binary},
    )
    assert classify(message, partition=0, day=DAY, decode=JSON).quarantined["reason"].to_list() == [reason]


def test_a_default_day_has_200_messages_that_cannot_be_read_of_every_reason() -> None:
    reasons = Counter(UNREADABLE[message.value] for message in a_default_day() if message.value in UNREADABLE)
    assert 196 <= reasons.total() <= 204
    assert set(reasons) == set(REASONS)
    assert max(reasons.values()) - min(reasons.values()) <= 8


def test_all_other_messages_of_the_day_can_be_read() -> None:
    readable = [message.value for message in a_default_day() if message.value not in UNREADABLE]
    frame = pl.DataFrame({"value": readable}).select(
        kafka_offset=pl.int_range(pl.len()),
        kafka_timestamp=pl.lit(start_of(MIDNIGHT), pl.Datetime("ms", "UTC")),
        value="value",
    )
    assert classify(frame, partition=0, day=DAY, decode=JSON).quarantined.is_empty()


def test_a_partition_gets_every_reason_once_before_any_is_repeated() -> None:
    simulation = Simulation()
    turns = [turn for hour in range(MIDNIGHT, MIDNIGHT + 24) for turn in malformed(simulation, 2, hour)]
    assert turns == list(range(turns[0], turns[0] + len(turns)))
    in_partition = Counter(
        UNREADABLE[message.value]
        for message in a_default_day()
        if message.partition == 2 and message.value in UNREADABLE
    )
    assert max(in_partition.values()) - min(in_partition.values()) == 1


def test_a_small_share_of_a_small_topic_is_met_over_a_year() -> None:
    simulation = Simulation(events_per_day=1_000, malformed_share=0.0001)
    hours = range(365 * 24)
    found = sum(len(malformed(simulation, partition, hour)) for hour in hours for partition in range(4))
    assert 33 <= found <= 40  # of 365,000


def test_repeated_deliveries_are_the_same_bytes_in_the_same_partition_a_little_later() -> None:
    first: dict[bytes, Message] = {}
    pauses = []
    for message in a_default_day():
        if message.value is None or message.value in UNREADABLE:
            continue
        if message.value in first:
            assert message.partition == first[message.value].partition
            pauses.append(message.delivered - first[message.value].delivered)
        else:
            first[message.value] = message
    assert 496 <= len(pauses) <= 504  # 0.5 % of 100,000
    # A third delivery may be twice as late.
    assert timedelta(0) < min(pauses) <= max(pauses) < timedelta(minutes=2)


def test_about_one_event_in_200_is_late_or_ahead() -> None:
    out_of_time = [
        event for event in events_of_a_default_day() if not timedelta(0) < event.delay < timedelta(seconds=5)
    ]
    assert 400 < len(out_of_time) < 600
    ahead = [event for event in out_of_time if event.delay < timedelta(0)]
    within_the_hour = [event for event in out_of_time if timedelta(minutes=5) < event.delay <= timedelta(hours=1)]
    beyond = [event for event in out_of_time if timedelta(hours=1) < event.delay < timedelta(hours=8)]
    assert len(ahead) + len(within_the_hour) + len(beyond) == len(out_of_time)
    assert min(len(ahead), len(within_the_hour), len(beyond)) > 100


def test_late_events_are_complete_matches() -> None:
    late = {event.game for event in events_of_a_default_day() if event.delay > timedelta(seconds=5)}
    in_time = {event.game for event in events_of_a_default_day() if timedelta(0) < event.delay < timedelta(seconds=5)}
    assert late
    assert not late & in_time


def test_after_midnight_events_of_the_day_before_arrive_both_in_time_and_too_late() -> None:
    of_yesterday = [event for event in events_of_a_default_day() if event.time.date() == date(2025, 12, 29)]
    window_end = datetime(2025, 12, 30, 1, tzinfo=UTC)
    assert any(event.delivered < window_end for event in of_yesterday)
    assert any(event.delivered > window_end for event in of_yesterday)
    assert all(event.delivered < datetime(2025, 12, 30, 6, tzinfo=UTC) for event in of_yesterday)


@pytest.mark.trial
def test_just_before_midnight_clocks_that_are_ahead_stamp_events_with_the_next_day() -> None:
    of_tomorrow = [event for event in events_of_a_default_day() if event.time.date() == date(2025, 12, 31)]
    assert of_tomorrow
    for event in of_tomorrow:
        assert event.delivered > datetime(2025, 12, 30, 23, 58, tzinfo=UTC)
        assert event.time < datetime(2025, 12, 31, 0, 3, tzinfo=UTC)


def test_some_match_of_a_week_spans_midnight() -> None:
    days_of_games = defaultdict(set)
    for day in range(7):
        for event in events(messages(Simulation(), MIDNIGHT + 24 * day)):
            days_of_games[event.game].add(event.time.date())
    assert any(len(days) == 2 for days in days_of_games.values())


def test_when_all_shares_are_0_there_are_no_faults() -> None:
    delivered = messages(topic_without_trouble(), *range(MIDNIGHT, MIDNIGHT + 24))
    values = [message.value for message in delivered]
    assert not set(values) & set(UNREADABLE)
    assert len(values) == len(set(values)) == 20_000
    assert all(timedelta(0) < event.delay < timedelta(seconds=5) for event in events(delivered))


@pytest.mark.trial
def test_each_fault_may_affect_a_fifth_of_the_messages() -> None:
    simulation = Simulation(events_per_day=50_000, malformed_share=0.2, repeated_share=0.2, late_share=0.2)
    delivered = messages(simulation, *range(MIDNIGHT, MIDNIGHT + 24))
    happened = events(delivered)
    once = counted_once(happened)
    assert sum(message.value in UNREADABLE for message in delivered) == pytest.approx(10_000, abs=5)
    assert len(happened) - len(once) == pytest.approx(10_000, abs=5)
    out_of_time = [event for event in once if not timedelta(0) < event.delay < timedelta(seconds=5)]
    assert len(out_of_time) == pytest.approx(10_000, rel=0.1)
