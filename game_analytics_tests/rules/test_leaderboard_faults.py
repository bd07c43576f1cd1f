"""Stats that can't be ranked, refused naming column and first bad row; and invalid boards."""

import re
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from game_analytics.rules.leaderboard import (
    BadStats,
    InvalidBoard,
    ensure_columns,
    ensure_distinct,
    ensure_exact,
    ensure_rankable,
    ensure_valid,
)
from game_analytics_tests.support.stats_files import StatsFiles, frame_of

STATS = frame_of([("anna", 10, 4), ("ben", 3, 0), ("cleo", 0, 0), ("dora", 0, 7)])


NUMBERS = "an integer, FLOAT, DOUBLE or DECIMAL"

# Columns


def files_that_can_hold_stats() -> dict[str, pl.DataFrame]:
    return {
        "as written by this pipeline": STATS,
        "columns in another order": STATS.select("deaths", "player_id", "kills"),
        "narrow": STATS.cast({"kills": pl.Int8, "deaths": pl.UInt8}),
        "wide and unsigned": STATS.cast({"kills": pl.UInt64, "deaths": pl.Int64}),
        "in between": STATS.cast({"kills": pl.Int16, "deaths": pl.UInt16}),
        "and between": STATS.cast({"kills": pl.UInt32, "deaths": pl.Int32}),
        "names as categories": STATS.cast({"player_id": pl.Categorical}),
        "further columns": STATS.with_columns(kd_ratio=1.5, rank=1, Kill=None, playerId=pl.lit("x")),
        "no rows": STATS.clear(),
    }


@pytest.mark.parametrize("file", files_that_can_hold_stats().values(), ids=files_that_can_hold_stats().keys())
def test_a_file_with_the_three_columns_passes_whatever_else_it_has(stats_files: StatsFiles, file: pl.DataFrame) -> None:
    ensure_columns(stats_files.types(file))
    ensure_rankable(stats_files.lay(file))


@pytest.mark.parametrize("column", ["player_id", "kills", "deaths"])
def test_a_column_that_is_missing_is_named_beside_those_that_are_there(stats_files: StatsFiles, column: str) -> None:
    others = [name for name in STATS.columns if name != column]
    with pytest.raises(BadStats, match=f"^column {column} is missing; the file has {', '.join(others)}$"):
        ensure_columns(stats_files.types(STATS.drop(column)))


@pytest.mark.parametrize(
    ("column", "written"), [("player_id", "Player_ID"), ("kills", "KILLS"), ("deaths", "Deaths"), ("kills", "kills ")]
)
def test_a_column_in_another_case_or_with_a_space_is_another_column(
    stats_files: StatsFiles, column: str, written: str
) -> None:
    with pytest.raises(BadStats, match=f"^column {column} is missing; the file has .*{written}"):
        ensure_columns(stats_files.types(STATS.rename({column: written})))


def test_a_file_without_columns_has_none() -> None:
    with pytest.raises(BadStats, match=r"^column player_id is missing; the file has none$"):
        ensure_columns({})


def test_a_further_column_named_as_duckdb_counts_rows_is_refused(stats_files: StatsFiles) -> None:
    with pytest.raises(BadStats, match=r"^column file_row_number has a name that DuckDB keeps for itself"):
        ensure_columns(stats_files.types(STATS.with_columns(file_row_number=7)))


def columns_of_other_types() -> list[tuple[pl.Series, str]]:
    """Column types, and DuckDB's names for them."""
    return [
        (pl.Series([True, False]), "BOOLEAN"),
        (pl.Series([b"a", b"b"]), "BLOB"),
        (pl.Series([date(2025, 12, 30), date(2025, 12, 31)]), "DATE"),
        (pl.Series([[1], [2]]), "BIGINT[]"),
        (pl.Series([{"a": 1}, {"a": 2}]), "STRUCT(a BIGINT)"),
    ]


@pytest.mark.parametrize(("values", "type_name"), columns_of_other_types(), ids=lambda part: str(part)[:20])
@pytest.mark.parametrize("column", ["kills", "deaths"])
def test_counts_that_are_not_numbers_are_refused(
    stats_files: StatsFiles, column: str, values: pl.Series, type_name: str
) -> None:
    file = STATS.head(2).with_columns(values.alias(column))
    with pytest.raises(BadStats, match=f"^column {column} is {re.escape(type_name)}; {NUMBERS} is expected$"):
        ensure_columns(stats_files.types(file))


def test_counts_written_as_strings_are_refused(stats_files: StatsFiles) -> None:
    with pytest.raises(BadStats, match=f"^column kills is VARCHAR; {NUMBERS} is expected$"):
        ensure_columns(stats_files.types(STATS.cast({"kills": pl.String})))


@pytest.mark.parametrize(
    ("values", "type_name"),
    [
        *columns_of_other_types(),
        (pl.Series([1, 2]), "BIGINT"),
        (pl.Series([1.0, 2.0]), "DOUBLE"),
        (pl.Series([1, 2], dtype=pl.UInt8), "UTINYINT"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_players_that_are_not_strings_are_refused(stats_files: StatsFiles, values: pl.Series, type_name: str) -> None:
    file = STATS.head(2).with_columns(values.alias("player_id"))
    with pytest.raises(
        BadStats, match=f"^column player_id is {re.escape(type_name)}; a string is expected(; write it as a string.*)?$"
    ):
        ensure_columns(stats_files.types(file))


def test_names_as_bytes_are_refused_with_the_cure(stats_files: StatsFiles) -> None:
    file = STATS.with_columns(pl.col("player_id").cast(pl.Binary))
    with pytest.raises(BadStats, match=r"; write it as a string: the column lacks the annotation of one"):
        ensure_columns(stats_files.types(file))


@pytest.mark.parametrize("namesakes", [("kills", "Kills"), ("KILLS", "kills"), ("kills", "kills")])
def test_columns_with_one_name_but_for_case_are_named_as_they_stand(namesakes: tuple[str, str]) -> None:
    with pytest.raises(BadStats, match=f"^columns {' and '.join(namesakes)} have the same name but for case"):
        ensure_distinct(["player_id", *namesakes, "deaths"])


def test_further_columns_may_have_namesakes() -> None:
    ensure_distinct(["player_id", "kills", "deaths", "team", "Team"])


def test_a_decimal_that_is_too_wide_is_refused_by_its_digits() -> None:
    ensure_exact({"player_id": 40, "kills": 38, "deaths": None, "price": 76}, ["price"])
    with pytest.raises(BadStats, match=r"^column deaths is a decimal of 39 digits; at most 38 can be read exactly"):
        ensure_exact({"player_id": None, "kills": 38, "deaths": 39}, [])


def test_a_float_of_16_bits_is_refused_since_it_rounds_from_2049_on() -> None:
    with pytest.raises(BadStats, match=r"^column kills is a float of 16 bits, .* only up to 2\^11: write it as an"):
        ensure_exact({"player_id": None, "kills": None, "deaths": None}, ["kills"])


# Values


def test_stats_without_a_fault_or_without_a_row_can_be_ranked(stats_files: StatsFiles) -> None:
    ensure_rankable(stats_files.lay(STATS))
    ensure_rankable(stats_files.lay(STATS.clear()))
    most = 2**63 - 1
    ensure_rankable(stats_files.lay(frame_of([("a", most, most), ("b", 0, 0)])))
    ensure_rankable(stats_files.lay(frame_of([("a", most, most)]).cast({"kills": pl.UInt64})))


def replaced(column: str, values: dict[int, object], dtype: pl.DataType | None = None) -> pl.DataFrame:
    """Good stats of 100 players with other values in some rows, counted from 1."""
    good = [f"p{row:03}" for row in range(100)] if column == "player_id" else list(range(100))
    wanted = [values.get(row, value) for row, value in enumerate(good, start=1)]
    stats = frame_of([(f"p{row:03}", row, row) for row in range(100)])
    return stats.with_columns(pl.Series(column, wanted, dtype=dtype or stats.schema[column]))


@pytest.mark.parametrize("row_group_size", [None, 1, 7])
@pytest.mark.parametrize("column", ["kills", "deaths"])
@pytest.mark.parametrize(
    ("values", "row", "shown"),
    [
        ({1: None}, 1, "null"),
        ({100: None}, 100, "null"),
        ({42: None, 17: None, 99: -1}, 17, "null"),
        ({1: -1}, 1, "-1"),
        ({100: -(2**63)}, 100, "-9223372036854775808"),
        ({42: -5, 17: -7, 99: None}, 17, "-7"),
    ],
)
def test_a_count_that_is_null_or_negative_is_refused_with_its_row(
    stats_files: StatsFiles, column: str, row_group_size: int | None, values: dict[int, object], row: int, shown: str
) -> None:
    connection = stats_files.lay(replaced(column, values), row_group_size)
    with pytest.raises(
        BadStats, match=rf"^column {column}, row {row}: {shown}; a whole number from 0 to 2\^63 - 1 is expected$"
    ):
        ensure_rankable(connection)


@pytest.mark.parametrize("count", [2**63, 2**64 - 1])
@pytest.mark.parametrize("column", ["kills", "deaths"])
def test_a_count_beyond_64_bits_with_a_sign_is_refused_with_its_row(
    stats_files: StatsFiles, column: str, count: int
) -> None:
    connection = stats_files.lay(replaced(column, {42: count, 41: 2**63 - 1}, pl.UInt64()))
    with pytest.raises(BadStats, match=f"^column {column}, row 42: {count}; a whole number"):
        ensure_rankable(connection)


FLOATS_AND_DECIMALS = [
    pl.Float32(),
    pl.Float64(),
    pl.Decimal(10, 0),
    pl.Decimal(18, 2),
    pl.Decimal(38, 10),
    pl.Decimal(38, 35),
]


@pytest.mark.parametrize("dtype", FLOATS_AND_DECIMALS, ids=str)
@pytest.mark.parametrize("column", ["kills", "deaths"])
def test_whole_numbers_of_any_type_are_counts(stats_files: StatsFiles, column: str, dtype: pl.DataType) -> None:
    file = STATS.cast({column: dtype})
    ensure_columns(stats_files.types(file))
    connection = stats_files.lay(file)
    ensure_rankable(connection)
    assert connection.execute("SELECT sum(kills), sum(deaths) FROM stats").fetchone() == (13, 11)


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (3.5, pl.Float64(), "3.5"),
        (0.5, pl.Float32(), "0.5"),
        (float("nan"), pl.Float64(), "nan"),
        (float("inf"), pl.Float32(), "inf"),
        (-1.0, pl.Float64(), "-1.0"),
        (Decimal("1.50"), pl.Decimal(18, 2), "1.50"),
        (Decimal(-1), pl.Decimal(10, 0), "-1"),
    ],
    ids=str,
)
def test_a_count_that_is_not_whole_is_refused_with_its_row(
    stats_files: StatsFiles, value: object, dtype: pl.DataType, shown: str
) -> None:
    file = replaced("kills", {}).cast({"kills": dtype})
    file = file.with_columns(pl.when(pl.col("player_id") == "p041").then(pl.lit(value, dtype)).otherwise("kills"))
    file = file.select("player_id", kills="literal", deaths="deaths")
    with pytest.raises(BadStats, match=f"^column kills, row 42: {re.escape(shown)}; a whole number from 0 to 2"):
        ensure_rankable(stats_files.lay(file))


@pytest.mark.parametrize(
    ("largest", "dtype", "power"),
    [(2**24, pl.Float32(), "2^24"), (2**53, pl.Float64(), "2^53"), (2**63 - 1, pl.Decimal(38, 0), "2^63 - 1")],
    ids=str,
)
def test_a_count_may_be_as_large_as_its_type_holds_exactly(
    stats_files: StatsFiles, largest: int, dtype: pl.DataType, power: str
) -> None:
    def file(count: int) -> pl.DataFrame:
        return frame_of([("anna", 1, 0), ("ben", 0, 0)]).with_columns(
            kills=pl.Series([Decimal(1), Decimal(count)], dtype=pl.Decimal(38, 0)).cast(dtype)
        )

    ensure_rankable(stats_files.lay(file(largest)))
    with pytest.raises(BadStats, match=rf"^column kills, row 2: .*; a whole number from 0 to {re.escape(power)} is"):
        ensure_rankable(stats_files.lay(file(largest + 2)))


@pytest.mark.parametrize("dtype", [pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()])
def test_a_negative_count_is_found_in_any_width(stats_files: StatsFiles, dtype: pl.DataType) -> None:
    connection = stats_files.lay(replaced("deaths", {100: -1}, dtype))
    with pytest.raises(BadStats, match=r"^column deaths, row 100: -1;"):
        ensure_rankable(connection)


@pytest.mark.parametrize("dtype", [pl.Int8(), pl.UInt8(), pl.UInt64()])
def test_a_column_of_nulls_alone_is_refused_at_its_first_row(stats_files: StatsFiles, dtype: pl.DataType) -> None:
    connection = stats_files.lay(STATS.with_columns(kills=pl.lit(None, dtype)))
    with pytest.raises(BadStats, match=r"^column kills, row 1: null;"):
        ensure_rankable(connection)


@pytest.mark.parametrize("row_group_size", [None, 1, 7])
def test_a_player_without_a_name_is_refused_with_the_first_such_row(
    stats_files: StatsFiles, row_group_size: int | None
) -> None:
    connection = stats_files.lay(replaced("player_id", {42: None, 17: None}), row_group_size)
    with pytest.raises(BadStats, match=r"^column player_id, row 17: null; a string is expected$"):
        ensure_rankable(connection)


@pytest.mark.parametrize("row_group_size", [None, 1, 7])
@pytest.mark.parametrize(
    ("values", "row", "player"),
    [
        ({100: "p000"}, 100, "p000"),
        ({2: "p000"}, 2, "p000"),
        ({50: "p003", 40: "p090"}, 50, "p003"),  # p090 is only in rows 40 and 91
        ({50: "p003", 30: "p010", 60: "p010"}, 30, "p010"),
    ],
)
def test_a_player_who_is_there_twice_is_refused_at_the_first_repetition(
    stats_files: StatsFiles, row_group_size: int | None, values: dict[int, object], row: int, player: str
) -> None:
    connection = stats_files.lay(replaced("player_id", values), row_group_size)
    with pytest.raises(BadStats, match=f"^column player_id, row {row}: '{player}' is here a second time$"):
        ensure_rankable(connection)


def test_names_that_look_alike_are_not_the_same_player(stats_files: StatsFiles) -> None:
    names = ["anna", "Anna", "anna ", "anna\x00", "caf\u00e9", "cafe\u0301", ""]
    ensure_rankable(stats_files.lay(frame_of([(name, 1, 1) for name in names])))


def test_of_several_bad_columns_the_first_is_named(stats_files: StatsFiles) -> None:
    all_bad = frame_of([("anna", 1, -1), ("anna", -1, 1)])
    with pytest.raises(BadStats, match=r"^column kills, row 2: -1;"):
        ensure_rankable(stats_files.lay(all_bad))
    with pytest.raises(BadStats, match=r"^column player_id, row 2: null;"):
        ensure_rankable(stats_files.lay(all_bad.with_columns(player_id=pl.Series(["anna", None]))))


# Boards


def a_good_board() -> pl.DataFrame:
    return board(
        [
            (1, "emil", 7, 2, 3.5),
            (2, "ben", 3, 0, 3.0),
            (3, "olga", 3, 1, 3.0),  # like ben, with one death more
            (4, "anna", 2, 1, 2.0),
            (5, "bert", 2, 1, 2.0),  # like anna, but later by name
            (6, "fritz", 1, 3, 1 / 3),
            (7, "cleo", 0, 0, 0.0),
        ]
    )


def board(rows: list[tuple[int, str, int, int, float]]) -> pl.DataFrame:
    schema = {"rank": pl.Int32, "player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64, "kd_ratio": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def equals(players: int) -> pl.DataFrame:
    return board([(rank, f"p{rank:02}", 4, 2, 2.0) for rank in range(1, players + 1)])


@pytest.mark.parametrize("good", [a_good_board(), equals(10), equals(1), equals(0)])
def test_a_board_that_keeps_its_rules_passes(good: pl.DataFrame) -> None:
    ensure_valid(good)


def boards_that_break_a_rule() -> list[tuple[pl.DataFrame, str]]:
    good = a_good_board()
    swapped = good[[1, 0, 2, 3, 4, 5, 6]].with_columns(rank=good["rank"])
    return [
        (equals(11), "at most 10 rows"),
        (good.with_columns(rank=pl.col("rank") - 1), "ranks are 1 to n"),  # from 0
        (good.with_columns(rank=pl.col("rank") * 2), "ranks are 1 to n"),
        (good.with_columns(rank=pl.lit(1, pl.Int32)), "ranks are 1 to n"),
        (good.reverse(), "ranks are 1 to n"),
        (good.filter(pl.col("player_id") != "anna"), "ranks are 1 to n"),  # one is gone
        (good.with_columns(player_id=pl.col("player_id").replace("cleo", "emil")), "each player is there once"),
        (good.with_columns(kd_ratio=pl.col("kd_ratio").round(2)), "kd_ratio is kills / max(deaths, 1)"),
        (good.with_columns(kd_ratio=pl.col("kills") / pl.col("deaths")), "kd_ratio is kills / max(deaths, 1)"),
        (good.with_columns(kd_ratio=float("inf")), "kd_ratio is kills / max(deaths, 1)"),
        (good.with_columns(kd_ratio=float("nan")), "kd_ratio is kills / max(deaths, 1)"),
        (good.with_columns(kills=pl.col("kills") + 1), "kd_ratio is kills / max(deaths, 1)"),
        (swapped, "the order is the rule's"),
        (board([(1, "a", 2, 1, 2.0), (2, "b", 4, 2, 2.0)]), "the order is the rule's"),  # more kills come first
        (board([(1, "a", 2, 1, 2.0), (2, "b", 2, 0, 2.0)]), "the order is the rule's"),  # then fewer deaths
        (board([(1, "b", 4, 2, 2.0), (2, "a", 4, 2, 2.0)]), "the order is the rule's"),  # then the smaller name
        (board([(1, "é", 4, 2, 2.0), (2, "z", 4, 2, 2.0)]), "the order is the rule's"),  # by bytes
        (good.cast({"rank": pl.Int64}), "columns are"),
        (good.cast({"kills": pl.Int32}), "columns are"),
        (good.with_columns(further=1), "columns are"),
        (good.select("player_id", "rank", "kills", "deaths", "kd_ratio"), "columns are"),
    ]


@pytest.mark.parametrize(("broken", "rule"), boards_that_break_a_rule())
def test_a_board_that_breaks_a_rule_is_refused_with_the_rule_named(broken: pl.DataFrame, rule: str) -> None:
    with pytest.raises(InvalidBoard) as refusal:
        ensure_valid(broken)
    assert rule in str(refusal.value)
    assert "Nothing was written." in str(refusal.value)


def test_of_a_board_that_breaks_several_rules_each_is_named() -> None:
    broken = pl.concat([equals(10), equals(2)]).with_columns(kd_ratio=7.0)
    with pytest.raises(InvalidBoard) as refusal:
        ensure_valid(broken)
    for rule in (
        "at most 10 rows",
        "ranks are 1 to n",
        "each player is there once",
        "kd_ratio is kills / max(deaths, 1)",
    ):
        assert rule in str(refusal.value)
