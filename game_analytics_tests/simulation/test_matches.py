"""The kills and deaths of simulated matches are those of a plausible game."""

from collections import Counter
from datetime import timedelta
from functools import cache
from itertools import pairwise
from statistics import mean, median

import pytest

from game_analytics.simulation.schedule import Simulation, start_of
from game_analytics_tests.support.simulated import (
    EVENING,
    MIDNIGHT,
    Event,
    by_match,
    counted_once,
    events,
    events_of_a_default_day,
    messages,
    odd_topics,
    topic_without_trouble,
)


@cache
def an_evening_hour() -> dict[str, list[Event]]:
    """The matches of an hour of the default topic, including those with late events."""
    return by_match(events(messages(Simulation(), EVENING)))


@cache
def full_matches() -> dict[str, list[Event]]:
    """The matches of that hour without the small ones whose events are late or ahead."""
    return {game: happened for game, happened in an_evening_hour().items() if len(deaths(happened)) > 4}


def ratios(happened: list[Event]) -> dict[str, float]:
    """Kills per death of each player."""
    kills = Counter(event.player for event in happened if event.event_type == "KILL")
    died = Counter(event.player for event in happened if event.event_type == "DEATH")
    return {player: kills[player] / max(1, died[player]) for player in {*kills, *died}}


def deaths(happened: list[Event]) -> list[Event]:
    return [event for event in happened if event.event_type == "DEATH"]


def kills(happened: list[Event]) -> list[Event]:
    return [event for event in happened if event.event_type == "KILL"]


def test_no_player_dies_twice_in_a_match() -> None:
    for happened in an_evening_hour().values():
        dead = [event.player for event in deaths(happened)]
        assert len(dead) == len(set(dead))


def test_a_match_has_one_winner_who_does_not_die() -> None:
    winners = 0
    for happened in full_matches().values():
        undefeated = {event.player for event in happened} - {event.player for event in deaths(happened)}
        assert len(undefeated) <= 1  # a winner without a kill is in no event
        winners += len(undefeated)
    assert winners > 0.9 * len(full_matches())


def test_a_killer_is_still_alive() -> None:
    for happened in an_evening_hour().values():
        died = {event.player: event.time for event in deaths(happened)}
        for kill in kills(happened):
            assert kill.player not in died or died[kill.player] > kill.time


def test_each_kill_has_its_death_of_another_player_with_the_same_time_match_and_event_id() -> None:
    for game, happened in an_evening_hour().items():
        died = {event.event: event for event in deaths(happened)}
        for kill in kills(happened):
            death = died.pop(kill.event)
            assert (death.time, death.game) == (kill.time, kill.game)
            assert death.player != kill.player
            assert kill.event.startswith(f"{game}-")


def test_one_death_in_ten_is_by_the_storm() -> None:
    happened = [event for match in an_evening_hour().values() for event in match]
    assert 0.07 < 1 - len(kills(happened)) / len(deaths(happened)) < 0.13


def test_a_match_has_about_a_hundred_players() -> None:
    assert len(full_matches()) > 30
    for happened in full_matches().values():
        assert 90 <= len(deaths(happened)) + 1 <= 120


def test_a_match_takes_about_20_minutes_wholly_inside_its_hour() -> None:
    for happened in full_matches().values():
        first, last = happened[0].time, happened[-1].time
        assert start_of(EVENING) < first < last < start_of(EVENING + 1)
        assert timedelta(minutes=12) < last - first < timedelta(minutes=20)


def test_no_player_is_in_two_matches_at_once() -> None:
    lives = [
        (player, min(times), max(times))
        for happened in full_matches().values()
        for player in {event.player for event in happened}
        for times in [[event.time for event in happened if event.player == player]]
    ]
    for (player, _, last), (next_player, first, _) in pairwise(sorted(lives)):
        assert player != next_player or last < first


@pytest.mark.trial
def test_most_players_play_and_some_far_more_than_others() -> None:
    matches = Counter(event.player for event in deaths(events_of_a_default_day()))
    assert len(matches) > 4_900  # of 5,000
    ordered = sorted(matches.values())
    assert ordered[4_500] > 2 * ordered[500]


@pytest.mark.trial
def test_the_ratios_of_a_day_are_plausible() -> None:
    ranked = sorted(ratios(events_of_a_default_day()).values(), reverse=True)
    assert 0.7 <= median(ranked) <= 1
    assert 4 <= ranked[9] <= ranked[1] <= 12  # the first may be an outlier
    assert ranked[4_000] < 0.5


@pytest.mark.trial
def test_players_who_are_good_on_one_day_are_good_on_the_next() -> None:
    topic = topic_without_trouble()
    today, tomorrow = (
        ratios(events(messages(topic, *range(first_hour, first_hour + 24)))) for first_hour in (MIDNIGHT, MIDNIGHT + 24)
    )
    ranked = [player for player in sorted(today, key=lambda player: today[player]) if player in tomorrow]
    quarter = len(ranked) // 4
    weak, strong = (mean(tomorrow[player] for player in some) for some in (ranked[:quarter], ranked[-quarter:]))
    assert strong > 1.5 * weak


def test_another_seed_has_other_good_players() -> None:
    other = Simulation(seed=8)
    happened = counted_once(events(messages(other, EVENING)))
    best_here = Counter(event.player for match in full_matches().values() for event in kills(match)).most_common(20)
    best_there = Counter(event.player for event in kills(happened)).most_common(20)
    assert len({player for player, _ in best_here} & {player for player, _ in best_there}) < 5


@pytest.mark.parametrize("simulation", odd_topics())
def test_the_matches_of_any_topic_are_complete(simulation: Simulation) -> None:
    matches = by_match(events(messages(simulation, EVENING, EVENING + 1)))
    assert matches
    for happened in matches.values():
        dead = [event.player for event in deaths(happened)]
        assert len(dead) == len(set(dead))
        assert len({event.player for event in happened} - set(dead)) <= 1
        assert {event.event for event in kills(happened)} <= {event.event for event in deaths(happened)}
        # Numbered without a gap, also where the first eliminations found no room and were left out.
        assert {event.event.rpartition("-")[2] for event in happened} == {str(n + 1) for n in range(len(dead))}


def test_without_faults_every_event_is_delivered_on_its_own_day() -> None:
    for event in events(messages(topic_without_trouble(), *range(MIDNIGHT, MIDNIGHT + 24))):
        assert event.time.date() == event.delivered.date()
