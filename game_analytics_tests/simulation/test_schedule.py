"""The hours, partitions and offsets of messages in the endless topic, computed without generating any."""

from datetime import UTC, datetime

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.simulation.schedule import START, Simulation, start_of
from game_analytics_tests.support.simulated import MIDNIGHT, odd_topics, small_topic


def test_the_topic_starts_one_day_before_the_first_partition() -> None:
    assert start_of(0) == START == datetime(2023, 12, 31, tzinfo=UTC)
    assert start_of(MIDNIGHT) == datetime(2025, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("simulation", odd_topics())
def test_a_day_has_exactly_as_many_messages_as_the_setting(simulation: Simulation) -> None:
    for first_hour in (0, 24, MIDNIGHT):
        counts = [
            simulation.messages_in(partition, hour)
            for hour in range(first_hour, first_hour + 24)
            for partition in range(simulation.partitions)
        ]
        assert sum(counts) == simulation.events_per_day
        assert min(counts) >= 3


@pytest.mark.parametrize("simulation", odd_topics())
def test_offsets_start_at_0_and_an_hour_begins_where_the_last_one_ended(simulation: Simulation) -> None:
    for partition in range(simulation.partitions):
        offset = 0
        for hour in range(72):
            assert simulation.first_offset(partition, hour) == offset
            offset += simulation.messages_in(partition, hour)


def test_the_hour_of_every_offset_is_found() -> None:
    simulation = small_topic()
    for partition in range(simulation.partitions):
        hours = [hour for hour in range(50) for _ in range(simulation.messages_in(partition, hour))]
        assert [simulation.hour_of(partition, offset) for offset in range(len(hours))] == hours


def test_an_hour_of_the_evening_has_five_times_the_messages_of_one_before_dawn() -> None:
    simulation = Simulation(events_per_day=1_000_000)
    day = [simulation.messages_before(hour + 1) - simulation.messages_before(hour) for hour in range(24)]
    assert day.index(max(day)) == 19
    assert max(day) > 4.5 * min(day)


def test_there_is_one_player_per_twenty_messages_and_at_least_a_hundred() -> None:
    assert Simulation(events_per_day=100_000).players == 5_000
    assert Simulation(events_per_day=1_000).players == 100


@pytest.mark.parametrize("simulation", odd_topics())
def test_every_partition_has_its_share_of_the_players(simulation: Simulation) -> None:
    partitions = [player % simulation.partitions for player in range(simulation.players)]
    for partition in range(simulation.partitions):
        assert simulation.partition_players(partition) == partitions.count(partition) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"events_per_day": 799},
            "events_per_day is 799, but must be at least 800 (200 for each of 4 partitions)",
        ),
        ({"events_per_day": -1, "partitions": 1}, "must be at least 200 (200 for each of 1 partitions)"),
        ({"partitions": 0}, "partitions is 0, but must be a whole number from 1 to 100"),
        ({"partitions": 101}, "partitions is 101, but must be a whole number from 1 to 100"),
        ({"malformed_share": -0.1}, "malformed_share is -0.1, but must be a share of all messages from 0 to 0.2"),
        ({"repeated_share": 1.5}, "repeated_share is 1.5, but must be a share of all messages from 0 to 0.2"),
        ({"late_share": float("nan")}, "late_share is nan, but must be a share of all messages from 0 to 0.2"),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(settings: dict[str, float], message: str) -> None:
    with pytest.raises(GameAnalyticsError) as refusal:
        Simulation(**settings)  # type: ignore[arg-type]
    assert message in str(refusal.value)
