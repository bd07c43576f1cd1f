"""Findings about repeats: too many of them, or at differing times, each with an example."""

from datetime import UTC, datetime

import polars as pl
import pytest

from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.player_stats import player_stats
from game_analytics.rules.repeats import Repeats

NOON = datetime(2025, 12, 30, 12, tzinfo=UTC)
ADVICE = "give each its own event_id (it need be unique only within game_id, player_id and event_type)"


def repeats_of(*events: tuple[datetime, str, str | None, str | None]) -> Repeats:
    """Repeats among kills, given as time, player, event id and game."""
    rows = [
        (time, player, "KILL", game, event_id, 0, place) for place, (time, player, event_id, game) in enumerate(events)
    ]
    return player_stats(pl.LazyFrame(rows, schema=RAW_EVENTS, orient="row"))[1]


def test_events_delivered_once_have_no_finding() -> None:
    repeats = repeats_of((NOON, "ann", "e1", None), (NOON, "ann", "e2", None), (NOON, "bob", "e1", None))
    assert repeats == Repeats()
    assert repeats.too_many(landed=3, duplicates=0) is None
    assert repeats.differing() is None


def test_events_without_an_id_are_never_repeats() -> None:
    repeats = repeats_of(
        (NOON, "ann", None, None), (NOON, "ann", None, None), (NOON.replace(hour=13), "ann", None, None)
    )
    assert repeats == Repeats()


@pytest.mark.parametrize(("landed", "duplicates"), [(20, 1), (21, 1), (1_000_000, 50_000)])
def test_up_to_five_percent_of_repeats_pass(landed: int, duplicates: int) -> None:
    repeats = repeats_of((NOON, "ann", "e1", None), (NOON, "ann", "e1", None))
    assert repeats.too_many(landed, duplicates) is None


def test_more_than_five_percent_are_reported_with_the_most_repeated_event() -> None:
    twice, thrice = (NOON, "ann", "e1", None), (NOON, "bob", "7", "m1")
    finding = repeats_of(twice, twice, thrice, thrice, thrice).too_many(landed=59, duplicates=3)
    assert finding is not None
    assert finding.startswith(
        "3 of 59 landed events (5.1%) repeat others and do not count: "
        "KILL of 'bob' with event_id '7' in game 'm1' came 3 times. "
    )
    assert ADVICE in finding


def test_repeats_at_one_time_agree() -> None:
    repeats = repeats_of((NOON, "ann", "e1", None), (NOON, "ann", "e1", None))
    assert repeats.at_other_times == 0
    assert repeats.differing() is None


def test_repeats_at_other_times_are_reported_with_both_times() -> None:
    """An id that identifies an attack, whose kills happened at different times."""
    repeats = repeats_of(
        (NOON.replace(microsecond=250_000), "zoe", "a2", None),
        (NOON, "zoe", "a2", None),
        (NOON.replace(second=2), "ann", "a1", "m1"),
        (NOON.replace(second=1), "ann", "a1", "m1"),
        (NOON.replace(second=3), "ann", "a1", "m1"),
        (NOON, "bob", "e1", None),
        (NOON, "bob", "e1", None),
    )
    assert repeats.at_other_times == 2
    finding = repeats.differing()
    assert finding is not None
    assert finding.startswith(
        "2 events were repeated with another ts and count once each: KILL of 'ann' with event_id 'a1' in game 'm1' "
        "happened at 2025-12-30 12:00:01 and 2025-12-30 12:00:03. "
    )
    assert ADVICE in finding


def test_a_difference_of_a_microsecond_counts() -> None:
    finding = repeats_of((NOON, "ann", "e1", None), (NOON.replace(microsecond=1), "ann", "e1", None)).differing()
    assert finding is not None
    assert "happened at 2025-12-30 12:00:00 and 2025-12-30 12:00:00.000001." in finding


def test_a_name_that_would_colour_a_terminal_is_escaped() -> None:
    finding = repeats_of((NOON, "\u202eann", "e1", None), (NOON, "\u202eann", "e1", None)).too_many(2, 1)
    assert finding is not None
    assert r"\u202eann" in finding
    assert finding.isprintable()
