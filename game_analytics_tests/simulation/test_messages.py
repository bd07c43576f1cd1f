"""The messages of an hour: how many, in which order, and the same bytes in every process."""

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import pairwise

import pytest

from game_analytics.simulation.messages import TIMELINE, timeline
from game_analytics.simulation.schedule import Simulation, start_of
from game_analytics_tests.support.simulated import (
    EVENING,
    MIDNIGHT,
    UNREADABLE,
    a_default_day,
    digest,
    events,
    messages,
    odd_topics,
    small_topic,
    topic_without_trouble,
)

DIGEST_OF_A_SMALL_HOUR = "4470dd2f50cb7d123fe7473d01c90344f0eef7f645e26707b9e8d2932bf53e0d"


@pytest.mark.parametrize("simulation", odd_topics())
@pytest.mark.parametrize("hour", [0, MIDNIGHT, MIDNIGHT + 4, EVENING])
def test_an_hour_has_exactly_the_messages_that_the_schedule_says(simulation: Simulation, hour: int) -> None:
    counts = Counter(message.partition for message in messages(simulation, hour))
    for partition in range(simulation.partitions):
        assert counts[partition] == simulation.messages_in(partition, hour)


@pytest.mark.parametrize("simulation", odd_topics())
def test_a_partition_is_delivered_within_the_hour_and_in_the_order_of_time(simulation: Simulation) -> None:
    delivered = defaultdict(list)
    for message in messages(simulation, EVENING):
        delivered[message.partition].append(message.delivered)
    for times in delivered.values():
        assert times[0] == start_of(EVENING)
        assert all(one <= next_one for one, next_one in pairwise(times))
        assert times[-1] < start_of(EVENING + 1)


def test_each_partition_begins_the_hour_with_a_heartbeat() -> None:
    seen = set()
    for message in messages(small_topic(), EVENING):
        if message.partition not in seen:
            assert message.value is not None
            assert b'"HEARTBEAT"' in message.value
        seen.add(message.partition)
    assert seen == {0, 1, 2}


def test_a_message_is_one_compact_json_object() -> None:
    shape = re.compile(
        rb'\{"event_type":"[A-Z_]+","player_id":"p\d{5}","game_id":"(20251230-19-\d{3})",'
        rb'"event_id":"\1-\d+","ts":"2025-12-30T19:\d\d:\d\d\.\d{3}Z"\}'
    )
    for message in messages(topic_without_trouble(), EVENING):
        assert shape.fullmatch(message.value or b"")


def test_all_messages_of_a_player_are_in_one_partition() -> None:
    player_id = re.compile(rb'"player_id":"(p\d{5})"')
    homes = defaultdict(set)
    for message in messages(small_topic(), *range(MIDNIGHT, MIDNIGHT + 24)):
        if message.value is not None and message.value not in UNREADABLE:
            homes[player_id.findall(message.value)[0]].add(message.partition)
    assert len(homes) == 250
    assert {len(partitions) for partitions in homes.values()} == {1}


def test_without_faults_a_message_arrives_a_few_seconds_after_its_event() -> None:
    for event in events(messages(topic_without_trouble(), EVENING)):
        assert timedelta(milliseconds=50) <= event.delay <= timedelta(seconds=3.1)


def test_event_ids_are_unique_except_for_a_kill_and_its_death() -> None:
    event_id = re.compile(rb'"event_id":"([^"]+)"')
    ids = Counter(event_id.findall(message.value or b"")[0] for message in messages(topic_without_trouble(), EVENING))
    kills = sum(event.event_type == "KILL" for event in events(messages(topic_without_trouble(), EVENING)))
    assert Counter(ids.values())[2] == kills
    assert max(ids.values()) == 2


@pytest.mark.trial
def test_a_tenth_of_the_messages_are_events_that_the_pipeline_ignores() -> None:
    others = Counter(
        found.group(1)
        for message in a_default_day()
        if message.value not in UNREADABLE and (found := re.search(rb'"event_type":"([A-Z_]+)"', message.value or b""))
    )
    assert others.pop(b"KILL") > 40_000
    assert others.pop(b"DEATH") > 44_000
    assert 9_000 < others.total() < 13_000
    assert len(others) == 6


def test_the_timeline_has_its_documented_columns() -> None:
    for simulation in odd_topics():
        assert timeline(simulation, EVENING).schema == TIMELINE


def test_an_hour_does_not_depend_on_what_was_generated_before() -> None:
    backwards = [digest(messages(small_topic(), hour)) for hour in (12, 11, 10)]
    messages(Simulation(seed=1), 11)
    forwards = [digest(messages(small_topic(), hour)) for hour in (10, 11, 12)]
    assert forwards == backwards[::-1]


def test_another_process_generates_the_same_bytes() -> None:
    program = "from game_analytics_tests.support.simulated import *;print(digest(messages(small_topic(), EVENING)))"
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest(messages(small_topic(), EVENING))


def test_a_known_hour_has_the_same_bytes_in_every_version() -> None:
    # If they change, published days can no longer be regenerated with the same bytes.
    assert digest(messages(small_topic(), EVENING)) == DIGEST_OF_A_SMALL_HOUR


@pytest.mark.parametrize("other", [Simulation(5, 5_000, 3), Simulation(7, 5_001, 3), Simulation(7, 5_000, 2)])
def test_other_settings_give_other_messages(other: Simulation) -> None:
    assert digest(messages(other, EVENING)) != digest(messages(small_topic(), EVENING))
