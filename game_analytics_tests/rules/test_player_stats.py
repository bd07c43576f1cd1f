"""Aggregating a day's raw events per player: repeats, attribution to players, and order."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import product
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.player_stats import (
    METRICS,
    STATS,
    Metric,
    Miscounted,
    count_columns,
    count_of,
    ensure_all_counted,
    player_stats,
)
from game_analytics.rules.repeats import Repeats

NOON = datetime(2025, 12, 30, 12, tzinfo=UTC)

Event = tuple[str, str, str | None] | tuple[str, str, str | None, str | None]
"""Event type, player and event id, and the game where it matters."""


def raw_events(events: Sequence[Event]) -> pl.LazyFrame:
    """Raw events with distinct times and offsets, which don't matter."""
    rows = [
        (NOON.replace(microsecond=number), player_id, event_type, game[0] if game else None, event_id, 0, number)
        for number, (event_type, player_id, event_id, *game) in enumerate(events)
    ]
    return pl.LazyFrame(rows, schema=RAW_EVENTS, orient="row")


def rows_of(events: Sequence[Event]) -> list[tuple[str, int, int]]:
    """Player, kills and deaths of each row, after checking that ``events`` is their sum."""
    stats, _ = player_stats(raw_events(events))
    assert stats["events"].to_list() == (stats["kills"] + stats["deaths"]).to_list()
    return stats.select("player_id", "kills", "deaths").rows()


def test_kills_and_deaths_are_counted_by_player() -> None:
    assert rows_of(
        [
            ("KILL", "anna", "e1"),
            ("DEATH", "ben", "e2"),
            ("KILL", "anna", "e3"),
            ("DEATH", "anna", "e4"),
            ("KILL", "cleo", "e5"),
        ]
    ) == [("anna", 2, 1), ("ben", 0, 1), ("cleo", 1, 0)]


def test_an_event_delivered_three_times_counts_once() -> None:
    assert rows_of(
        [("KILL", "anna", "e1"), ("KILL", "anna", "e1"), ("KILL", "anna", "e2"), ("KILL", "anna", "e1")]
    ) == [("anna", 2, 0)]


def test_a_repeated_delivery_is_recognized_by_its_id_alone() -> None:
    first = (NOON, "anna", "KILL", "g1", "e1", 0, 7)
    other_time_and_place = (NOON.replace(hour=18), "anna", "KILL", "g1", "e1", 2, 9)
    events = pl.LazyFrame([first, other_time_and_place], schema=RAW_EVENTS, orient="row")
    assert player_stats(events)[0].rows() == [("anna", 1, 0, 1)]


def test_ids_that_count_within_a_match_are_no_repeats() -> None:
    """Three matches of four kills each, numbered from 1 in each match."""
    kills = [("KILL", "anna", f"{number}", game) for game in ("m1", "m2", "m3") for number in range(1, 5)]
    assert rows_of(kills) == [("anna", 12, 0)]
    assert rows_of([*kills, *kills[3:7]]) == [("anna", 12, 0)]


def test_events_without_a_game_repeat_only_each_other() -> None:
    assert rows_of([("KILL", "anna", "e1", None), ("KILL", "anna", "e1", "g1"), ("KILL", "anna", "e1", None)]) == [
        ("anna", 2, 0)
    ]


def test_a_kill_and_a_death_that_share_an_id_are_two_events() -> None:
    assert rows_of([("KILL", "anna", "e1"), ("DEATH", "anna", "e1")]) == [("anna", 1, 1)]


def test_the_same_id_at_another_player_is_another_event() -> None:
    assert rows_of([("KILL", "anna", "e1"), ("KILL", "ben", "e1")]) == [("anna", 1, 0), ("ben", 1, 0)]


def test_events_without_an_id_count_each() -> None:
    assert rows_of(
        [("KILL", "anna", None), ("KILL", "anna", None), ("DEATH", "anna", None), ("KILL", "anna", "e1")]
    ) == [("anna", 3, 1)]


def test_the_word_null_is_an_id_like_any_other() -> None:
    assert rows_of([("KILL", "anna", "null"), ("KILL", "anna", "null"), ("KILL", "anna", None)]) == [("anna", 2, 0)]


def test_names_that_differ_in_one_bit_or_look_alike_are_different_players() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    names = ["anna", "Anna", "anna ", composed, decomposed]
    assert sorted(row[0] for row in rows_of([("KILL", name, "e1") for name in names])) == sorted(names)


def test_a_kill_besides_many_repeats_counts_for_its_player_only() -> None:
    events = [("KILL", "anna", "e1")] * 5 + [("DEATH", "anna", "e1")] * 4 + [("DEATH", "ben", "e1")] * 3
    assert rows_of(events) == [("anna", 1, 1), ("ben", 0, 1)]


def test_players_are_sorted_by_their_utf_8_bytes() -> None:
    in_order = [
        " ",
        "10",
        "9",  # by bytes, not by number
        "Z",
        "Za",
        "a",
        "z",
        "é",  # after all of ASCII, not beside e
        "\ue000",
        "\uffff",
        "😀",  # after U+FFFF, although its UTF-16 units come before U+E000
    ]
    assert [row[0] for row in rows_of([("KILL", name, "e1") for name in reversed(in_order)])] == in_order


def test_a_day_without_events_has_no_rows_and_the_same_columns() -> None:
    empty, repeats = player_stats(raw_events([]))
    assert repeats == Repeats()
    expected = {"player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64, "events": pl.Int64}
    assert_frame_equal(empty, pl.DataFrame(schema=expected))


def test_the_columns_are_those_of_a_stats_file_and_the_events_that_count() -> None:
    some, _ = player_stats(raw_events([("KILL", "anna", "e1")]))
    assert dict(some.schema) == {"player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64, "events": pl.Int64}
    assert dict(some.select(STATS.names()).schema) == {"player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64}


PLAYERS = ["a", "b", "Z", "é", "😀", "\uffff", "aa"]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["KILL", "DEATH"]),
        st.sampled_from(PLAYERS),
        st.sampled_from(["e1", "e2", "e3", "", None]),
        st.sampled_from(["g1", "g2", None]),
    ),
    max_size=60,
)


def counted_by_hand(events: Sequence[Event]) -> list[tuple[str, int, int]]:
    """The same with sets and counters in plain Python."""
    seen: set[Event] = set()
    counts: Counter[tuple[str, str]] = Counter()
    for event in events:
        event_type, player_id, event_id, *_ = event
        is_duplicate = event_id is not None and event in seen
        seen.add(event)
        counts[player_id, event_type] += not is_duplicate
    players = sorted({player_id for player_id, _ in counts}, key=str.encode)
    return [(name, counts[name, "KILL"], counts[name, "DEATH"]) for name in players]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(EVENTS)
def test_any_events_are_counted_as_by_hand(events: list[Event]) -> None:
    assert rows_of(events) == counted_by_hand(events)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter_nor_does_the_engine(events: list[Event], random: Random) -> None:
    shuffled = random.sample(events, len(events))
    in_order, repeats = player_stats(raw_events(events))
    again, shuffled_repeats = player_stats(raw_events(shuffled), lambda query: query.collect(engine="in-memory"))
    assert_frame_equal(again, in_order)
    assert shuffled_repeats.at_other_times == repeats.at_other_times


@pytest.mark.parametrize("at_once", [1, 7, 59, 10**9])
@pytest.mark.parametrize("fingerprint", [pl.col("event_id").str.len_bytes(), pl.lit(1)])
def test_neither_parts_of_the_players_nor_equal_fingerprints_change_a_count(at_once: int, fingerprint: pl.Expr) -> None:
    events = list(product(["KILL", "DEATH"], PLAYERS, ["e1", "e22", "e33", "", None], ["g1", None])) * 2
    of_ids = pl.when(pl.col("event_id").is_not_null()).then(fingerprint)
    stats, _ = player_stats(raw_events(events), fingerprint=of_ids, grouped_at_once=at_once)
    assert stats.drop("events").rows() == counted_by_hand(events)


def test_a_day_of_300_000_deliveries_has_the_computed_counts() -> None:
    delivery = pl.int_range(300_000, dtype=pl.Int64)
    number = (delivery * 7_919) % 100_000  # each event three times, far from one another
    events = pl.LazyFrame().select(
        event_time=pl.lit(NOON, pl.Datetime("us", "UTC")),
        player_id=pl.format("p{}", number % 1_000),
        event_type=pl.when(number < 40_000).then(pl.lit("KILL")).otherwise(pl.lit("DEATH")),
        game_id=pl.lit(None, pl.String),
        event_id=pl.format("e{}", number),
        kafka_partition=pl.lit(0, pl.Int32),
        kafka_offset=delivery,
    )
    stats, repeats = player_stats(events)
    assert repeats.at_other_times == 0
    assert repeats.most_repeated is not None
    assert repeats.most_repeated.deliveries == 3
    assert stats["player_id"].to_list() == sorted(f"p{number}" for number in range(1_000))
    assert stats.drop("player_id").unique().rows() == [(40, 60, 100)]


# Another counted event type


ASSISTS = {**METRICS, "assists": count_of("ASSIST")}


def test_another_type_needs_one_word_and_a_metric() -> None:
    events: list[Event] = [("KILL", "anna", "e1"), ("ASSIST", "ben", "e1"), ("ASSIST", "ben", "e1")]
    stats, repeats = player_stats(raw_events(events), metrics=ASSISTS)
    assert stats.columns == ["player_id", "kills", "deaths", "assists", "events"]
    assert stats.rows() == [("anna", 1, 0, 0, 1), ("ben", 0, 0, 1, 1)]
    assert repeats.most_repeated is not None
    assert repeats.most_repeated.event_type == "ASSIST"
    assert count_columns(ASSISTS, ("KILL", "DEATH", "ASSIST")) == ["kills", "deaths", "assists"]


def test_each_counted_type_has_its_metric() -> None:
    assert count_columns() == ["kills", "deaths"]


def test_a_type_without_a_metric_is_named_with_the_line_to_add() -> None:
    with pytest.raises(ValueError, match=r'ASSIST is in COUNTED_TYPES .*"column": count_of\("ASSIST"\)'):
        count_columns(METRICS, ("KILL", "DEATH", "ASSIST"))


def test_a_type_that_two_metrics_count_is_refused() -> None:
    with pytest.raises(ValueError, match=r"KILL .*\['kills', 'eliminations'\]"):
        count_columns({**METRICS, "eliminations": count_of("KILL")})


def test_a_metric_that_counts_no_type_stays_out_of_the_account() -> None:
    matches = Metric("Matches of the day", pl.col("game_id").n_unique())
    assert count_columns({**METRICS, "matches": matches}) == ["kills", "deaths"]
    events: list[Event] = [("KILL", "anna", "e1", "g1"), ("DEATH", "anna", "e2", "g2"), ("KILL", "anna", "e3", "g2")]
    stats, _ = player_stats(raw_events(events), metrics={**METRICS, "matches": matches})
    assert stats.rows() == [("anna", 2, 1, 2, 3)]


# The account


@pytest.mark.parametrize(
    ("landed", "counted", "duplicates"), [(0, 0, 0), (7, 7, 0), (7, 4, 3), (10**12, 1, 10**12 - 1)]
)
def test_an_account_that_balances_passes(landed: int, counted: int, duplicates: int) -> None:
    ensure_all_counted(landed, counted, duplicates)


@pytest.mark.parametrize(
    ("landed", "counted", "duplicates", "sentence"),
    [
        (1_000, 900, 99, "1,000 events were landed, but 900 are counted and 99 are duplicates: 999 in all"),
        (1_000, 900, 101, "1,000 events were landed, but 900 are counted and 101 are duplicates: 1,001 in all"),
        (0, 1, 0, "0 events were landed, but 1 are counted"),
        (5, 0, 0, "5 events were landed, but 0 are counted"),
    ],
)
def test_an_account_that_does_not_balance_is_refused_with_its_numbers(
    landed: int, counted: int, duplicates: int, sentence: str
) -> None:
    with pytest.raises(Miscounted) as refusal:
        ensure_all_counted(landed, counted, duplicates)
    assert sentence in str(refusal.value)
    assert "Nothing was written." in str(refusal.value)
