"""The ranking: order, tie-breaks, unranked players, and a player's neighbours.

By DuckDB, over Parquet files in every form that stats may have.
"""

from functools import cmp_to_key
from random import Random

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.datatypes import DataTypeClass
from polars.testing import assert_frame_equal

from game_analytics.rules.leaderboard import counts_of, ensure_valid, players_around, top_players
from game_analytics_tests.support.stats_files import Player, StatsFiles, frame_of

INTEGERS: list[DataTypeClass] = [
    pl.Int8,
    pl.Int16,
    pl.Int32,
    pl.Int64,
    pl.UInt8,
    pl.UInt16,
    pl.UInt32,
    pl.UInt64,
]


def board_of(stats_files: StatsFiles, players: list[Player], min_engagements: int = 0) -> list[tuple[object, ...]]:
    return top_players(stats_files.lay(frame_of(players)), min_engagements).rows()


def names_of(stats_files: StatsFiles, players: list[Player], min_engagements: int = 0) -> list[object]:
    return [row[1] for row in board_of(stats_files, players, min_engagements)]


# The order


def a_small_day() -> list[Player]:
    return [
        ("anna", 10, 4),  # 2.5
        ("ben", 3, 0),  # never died: ranked by kills, 3.0
        ("cleo", 0, 0),  # idle, and neither NaN nor first
        ("dora", 0, 7),
        ("emil", 7, 2),  # 3.5
        ("fritz", 1, 3),
    ]


def test_a_board_has_these_columns_and_is_sorted_by_rank(stats_files: StatsFiles) -> None:
    expected = pl.DataFrame(
        [
            (1, "emil", 7, 2, 3.5),
            (2, "ben", 3, 0, 3.0),
            (3, "anna", 10, 4, 2.5),
            (4, "fritz", 1, 3, 0.3333333333333333),
            (5, "cleo", 0, 0, 0.0),
            (6, "dora", 0, 7, 0.0),
        ],
        schema={
            "rank": pl.Int32,
            "player_id": pl.String,
            "kills": pl.Int64,
            "deaths": pl.Int64,
            "kd_ratio": pl.Float64,
        },
        orient="row",
    )
    assert_frame_equal(top_players(stats_files.lay(frame_of(a_small_day())), 0), expected, check_exact=True)


def test_the_ratio_decides_before_the_number_of_kills(stats_files: StatsFiles) -> None:
    assert names_of(stats_files, [("a", 1_000_000, 500_001), ("b", 2, 1)]) == ["b", "a"]


def test_of_equal_ratios_more_kills_come_first(stats_files: StatsFiles) -> None:
    assert names_of(stats_files, [("a", 2, 1), ("b", 6, 3), ("c", 4, 2)]) == ["b", "c", "a"]


def test_of_equal_ratios_and_kills_fewer_deaths_come_first(stats_files: StatsFiles) -> None:
    # One death gives the same ratio as none; without kills all are 0.
    assert names_of(stats_files, [("a", 5, 1), ("b", 5, 0), ("c", 0, 9), ("d", 0, 1), ("e", 0, 0)]) == [
        *["b", "a", "e", "d", "c"]
    ]


def test_of_equal_players_the_smaller_name_comes_first(stats_files: StatsFiles) -> None:
    assert board_of(stats_files, [("ben", 4, 2), ("anna", 4, 2), ("cleo", 4, 2)]) == [
        (1, "anna", 4, 2, 2.0),
        (2, "ben", 4, 2, 2.0),
        (3, "cleo", 4, 2, 2.0),
    ]


def names_in_the_order_of_their_utf_8_bytes() -> list[str]:
    return [
        "\x00",  # a foreign file may hold any string
        " ",
        "10",
        "9",
        "Z",
        "a",
        "a\x00",
        "a\x00b",
        "a ",
        "z" * 200,
        "é",
        "\ue000",
        "\uffff",
        "😀",  # although its UTF-16 units come before U+E000
        "😀a",
    ]


def test_names_are_compared_by_their_utf_8_bytes(stats_files: StatsFiles) -> None:
    names = names_in_the_order_of_their_utf_8_bytes()
    players = [(name, 4, 2) for name in reversed(names)]
    assert names_of(stats_files, players) == names[:10]
    ranked = players_around(stats_files.lay(frame_of(players)), "z" * 200, 0, 100)
    assert ranked["player_id"].to_list() == names


def test_a_player_who_never_died_is_ranked_by_kills(stats_files: StatsFiles) -> None:
    assert board_of(stats_files, [("a", 3, 0), ("b", 3, 1), ("c", 31, 10), ("d", 1, 0)]) == [
        (1, "c", 31, 10, 3.1),
        (2, "a", 3, 0, 3.0),
        (3, "b", 3, 1, 3.0),
        (4, "d", 1, 0, 1.0),
    ]


def test_an_idle_player_is_last_with_a_ratio_of_0(stats_files: StatsFiles) -> None:
    assert board_of(stats_files, [("a", 0, 0), ("b", 1, 1_000_000)])[1] == (2, "a", 0, 0, 0.0)


def test_ratios_that_differ_in_the_last_bit_are_in_order(stats_files: StatsFiles) -> None:
    most = 2**26
    players = [("a", most - 1, most), ("b", most - 2, most - 1), ("c", most, most), ("d", 1, 1)]
    assert names_of(stats_files, players) == ["c", "d", "a", "b"]


def test_the_largest_counts_there_are_have_a_finite_ratio(stats_files: StatsFiles) -> None:
    most = 2**63 - 1
    assert board_of(stats_files, [("a", most, 0), ("b", most, most), ("c", 0, most), ("d", 1, most)], most) == [
        (1, "a", most, 0, 9223372036854775807.0),
        (2, "b", most, most, 1.0),
        (3, "d", 1, most, 1 / 2**63),
        (4, "c", 0, most, 0.0),
    ]


# How many


def test_a_player_with_fewer_kills_than_the_rounded_ratio_is_ranked(stats_files: StatsFiles) -> None:
    kills = 2**53 + 3  # as a float 2^53 + 4
    names = [f"player-{number}" for number in range(10)]
    assert names_of(stats_files, [(name, kills, 0) for name in names]) == names


def test_of_a_day_without_players_the_board_is_empty_and_has_its_columns(stats_files: StatsFiles) -> None:
    empty, full = (top_players(stats_files.lay(frame_of(players)), 0) for players in ([], a_small_day()))
    assert_frame_equal(empty, full.clear())


@pytest.mark.parametrize(("players", "ranked"), [(1, 1), (9, 9), (10, 10), (11, 10), (1_000, 10)])
def test_at_most_ten_are_ranked(stats_files: StatsFiles, players: int, ranked: int) -> None:
    found = board_of(stats_files, [(f"p{number:03}", number, 1) for number in range(players)])
    assert found == [
        (rank, f"p{players - rank:03}", players - rank, 1, players - rank) for rank in range(1, ranked + 1)
    ]


def test_the_tenth_place_among_equals_goes_to_the_smaller_name(stats_files: StatsFiles) -> None:
    leaders = [(f"leader {number}", 100 - number, 1) for number in range(9)]
    equals = [(name, 4, 2) for name in ("mia", "noah", "lena", "omar")]
    assert names_of(stats_files, equals + leaders)[8:] == ["leader 8", "lena"]


def test_twelve_equals_take_the_ten_places_by_name(stats_files: StatsFiles) -> None:
    assert board_of(stats_files, [(name, 4, 2) for name in "lkjihgfedcba"]) == [
        (rank, name, 4, 2, 2.0) for rank, name in enumerate("abcdefghij", start=1)
    ]


# Who is ranked at all


def test_min_engagements_counts_kills_and_deaths_and_reaches_its_own_number(stats_files: StatsFiles) -> None:
    players = [("a", 9, 0), ("b", 9, 1), ("c", 0, 10), ("d", 5, 5), ("e", 10, 0), ("f", 5, 4)]
    assert names_of(stats_files, players, min_engagements=10) == ["e", "b", "d", "c"]
    assert names_of(stats_files, players, min_engagements=9) == ["e", "a", "b", "f", "d", "c"]


def test_with_no_minimum_an_idle_player_is_ranked_and_with_1_not(stats_files: StatsFiles) -> None:
    assert names_of(stats_files, [("idle", 0, 0), ("a", 0, 1)], min_engagements=0) == ["idle", "a"]
    assert names_of(stats_files, [("idle", 0, 0), ("a", 0, 1)], min_engagements=1) == ["a"]


@pytest.mark.parametrize("min_engagements", [12, 2**31, 2**63, 2**70])
def test_a_minimum_that_no_player_reaches_gives_an_empty_board(stats_files: StatsFiles, min_engagements: int) -> None:
    assert board_of(stats_files, [("a", 10, 1), ("b", 0, 11)], min_engagements) == []


def test_places_on_the_board_go_to_those_who_reach_the_minimum(stats_files: StatsFiles) -> None:
    lucky = [(f"lucky {number:02}", 1 + number, 0) for number in range(10)]
    busy = [(f"busy {number:02}", 20 + number, 20) for number in range(12)]
    assert names_of(stats_files, lucky + busy, min_engagements=40) == [
        f"busy {number:02}" for number in range(11, 1, -1)
    ]


# Files of every shape


@pytest.mark.parametrize(
    ("kills", "deaths"), [*zip(INTEGERS, INTEGERS, strict=True), (pl.UInt64, pl.Int8), (pl.Int8, pl.UInt64)]
)
def test_counts_may_have_any_integer_width(
    stats_files: StatsFiles, kills: DataTypeClass, deaths: DataTypeClass
) -> None:
    # 100 and 127 fit into the smallest type, but their sum does not.
    narrow = frame_of([("a", 127, 100), ("b", 127, 127), ("c", 100, 0), ("d", 0, 0)])
    found = top_players(stats_files.lay(narrow.cast({"kills": kills, "deaths": deaths})), 227)
    assert found.rows() == [(1, "a", 127, 100, 1.27), (2, "b", 127, 127, 1.0)]
    assert found.schema == {
        "rank": pl.Int32,
        "player_id": pl.String,
        "kills": pl.Int64,
        "deaths": pl.Int64,
        "kd_ratio": pl.Float64,
    }


def test_further_columns_change_nothing(stats_files: StatsFiles) -> None:
    plain = frame_of(a_small_day())
    more = plain.select(
        pl.lit(7).alias("rank"),
        pl.lit(float("nan")).alias("kd_ratio"),
        "deaths",
        pl.lit(None).alias("row"),
        pl.lit([[1, 2]]).alias("weapons"),
        "player_id",
        "kills",
    )
    expected = top_players(stats_files.lay(plain), 0)
    assert_frame_equal(top_players(stats_files.lay(more), 0), expected)


@pytest.mark.parametrize("row_group_size", [None, 1, 3, 7])
def test_neither_the_order_of_rows_nor_row_groups_matter(stats_files: StatsFiles, row_group_size: int | None) -> None:
    players = [(f"p{number:03}", number % 7, number % 3) for number in range(100)]
    expected = board_of(stats_files, players)
    for seed in range(5):
        shuffled = frame_of(Random(seed).sample(players, len(players)))  # noqa: S311
        assert top_players(stats_files.lay(shuffled, row_group_size), 0).rows() == expected


def test_a_table_can_be_ranked_like_a_file() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE stats (player_id VARCHAR, kills UTINYINT, deaths BIGINT, row BIGINT)")
        connection.executemany("INSERT INTO stats VALUES (?, ?, ?, ?)", [("a", 1, 1, 0), ("b", 200, 100, 1)])
        assert top_players(connection, 0).rows() == [(1, "b", 200, 100, 2.0), (2, "a", 1, 1, 1.0)]


# Against an oracle


def compared_by_whole_numbers(one: Player, other: Player) -> int:
    """Negative if the first player ranks higher. Ratios are cross-multiplied, without division."""
    (name, kills, deaths), (other_name, other_kills, other_deaths) = one, other
    by_ratio = other_kills * max(deaths, 1) - kills * max(other_deaths, 1)
    by_name = -1 if name.encode() < other_name.encode() else 1
    return by_ratio or other_kills - kills or deaths - other_deaths or by_name


def ranked_by_whole_numbers(players: list[Player], min_engagements: int) -> list[Player]:
    """All ranked players, in order. Correct while float64 distinguishes all ratios: counts up to 2^26."""
    engaged = [player for player in players if player[1] + player[2] >= min_engagements]
    return sorted(engaged, key=cmp_to_key(compared_by_whole_numbers))


def ranked_by_float64(players: list[Player]) -> list[Player]:
    """The same by the ratio as float64. Correct while float64 holds the counts exactly: up to 2^53."""
    return sorted(
        players, key=lambda player: (-player[1] / max(player[2], 1), -player[1], player[2], player[0].encode())
    )


NAMES = st.text(st.sampled_from("aZ09é\uffff😀 \x00"), max_size=3)


def days(most: int) -> st.SearchStrategy[list[Player]]:
    near = [0, 1, 2, 3, most - 1, most]
    counts = st.one_of(st.integers(0, 4), st.sampled_from(near), st.integers(0, most))
    return st.lists(st.tuples(NAMES, counts, counts), max_size=30, unique_by=lambda player: player[0])


@pytest.mark.trial
@settings(max_examples=200, deadline=None, derandomize=True)
@given(players=days(2**26), min_engagements=st.sampled_from([0, 1, 4, 2**26]), row_group_size=st.integers(1, 30))
def test_any_day_is_ranked_as_whole_numbers_rank_it(
    stats_files: StatsFiles, players: list[Player], min_engagements: int, row_group_size: int
) -> None:
    connection = stats_files.lay(frame_of(players), row_group_size)
    expected = [
        (rank, name, kills, deaths, kills / max(deaths, 1))
        for rank, (name, kills, deaths) in enumerate(ranked_by_whole_numbers(players, min_engagements), start=1)
    ]
    board = top_players(connection, min_engagements)
    ensure_valid(board)
    assert board.rows() == expected[:10]
    for name, *_ in players[:3]:
        own = next((rank for rank, other, *_ in expected if other == name), None)
        around = [row for row in expected if own is not None and abs(row[0] - own) <= 2]
        assert players_around(connection, name, min_engagements, 2).rows() == around


@settings(max_examples=100, deadline=None, derandomize=True)
@given(players=days(2**53))
def test_any_day_of_larger_counts_is_ranked_as_float64_ranks_it(stats_files: StatsFiles, players: list[Player]) -> None:
    board = top_players(stats_files.lay(frame_of(players)), 0)
    ensure_valid(board)
    assert board.rows() == [
        (rank, name, kills, deaths, kills / max(deaths, 1))
        for rank, (name, kills, deaths) in enumerate(ranked_by_float64(players)[:10], start=1)
    ]


# A player's neighbours


def a_day_of_20() -> list[Player]:
    """From ``p01`` (first) to ``p20`` (last), and ``idle`` without events."""
    return [*((f"p{place:02}", 100 - place, 10) for place in range(1, 21)), ("idle", 0, 0)]


@pytest.mark.parametrize(
    ("player_id", "neighbours", "ranks"),
    [
        ("p15", 2, [13, 14, 15, 16, 17]),
        ("p10", 1, [9, 10, 11]),  # on the board and beyond it
        ("p15", 0, [15]),
        ("p01", 2, [1, 2, 3]),  # the first has no neighbour above
        ("p02", 2, [1, 2, 3, 4]),
        ("p20", 2, [18, 19, 20]),
        ("p05", 100, list(range(1, 21))),
    ],
)
def test_a_player_is_shown_among_neighbours_with_the_rank_among_all(
    stats_files: StatsFiles, player_id: str, neighbours: int, ranks: list[int]
) -> None:
    found = players_around(stats_files.lay(frame_of(a_day_of_20())), player_id, 1, neighbours)
    assert found.rows() == [(rank, f"p{rank:02}", 100 - rank, 10, (100 - rank) / 10) for rank in ranks]


def test_the_rank_is_the_one_among_those_who_reach_the_minimum(stats_files: StatsFiles) -> None:
    players = [("a", 50, 0), ("b", 60, 40), ("c", 50, 50)]
    assert players_around(stats_files.lay(frame_of(players)), "c", 100, 2).rows() == [
        (1, "b", 60, 40, 1.5),
        (2, "c", 50, 50, 1.0),
    ]


@pytest.mark.parametrize("player_id", ["idle", "nobody", "P15", "", "p15' OR 1=1 --", "%", "$player_id"])
def test_a_player_who_is_not_ranked_has_no_neighbours(stats_files: StatsFiles, player_id: str) -> None:
    connection = stats_files.lay(frame_of(a_day_of_20()))
    found = players_around(connection, player_id, 1, 2)
    assert_frame_equal(found, top_players(connection, 0).clear())


def test_the_counts_of_a_player_are_known_ranked_or_not(stats_files: StatsFiles) -> None:
    connection = stats_files.lay(frame_of(a_day_of_20()))
    assert counts_of(connection, "p15") == (85, 10)
    assert counts_of(connection, "idle") == (0, 0)
    assert counts_of(connection, "nobody") is None
