"""The description of every board in `BOARDS`, and a further board beside the top ten."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.boards import BOARDS
from game_analytics.leaderboards.top10 import TOP10
from game_analytics.rules.table import Kind

DAY = date(2025, 12, 30)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_its_keys_parse_back_to_the_day_and_each_column_is_described(board: Board) -> None:
    assert board.day_of_key(board.key(DAY)) == DAY
    assert list(board.descriptions) == board.schema.names()


def test_no_two_boards_share_a_key_or_an_asset() -> None:
    assert len({board.key(DAY) for board in BOARDS}) == len({board.asset for board in BOARDS}) == len(BOARDS)


def test_another_board_has_other_keys_and_ignores_those_of_the_top_ten() -> None:
    worst = replace(TOP10, name="worst10", asset="worst10_leaderboard", title="Worst ten")
    assert worst.key(DAY) == "leaderboard/2025_12_30_worst10.parquet"
    assert worst.day_of_key(TOP10.key(DAY)) is None
    assert TOP10.day_of_key(worst.key(DAY)) is None


def test_its_table_has_the_files_columns_with_numbers_right_aligned() -> None:
    rows = pl.DataFrame([(1, "ann", 4, 0, 4.0)], schema=TOP10.schema, orient="row")
    table = TOP10.table(rows)
    assert table.rows == [(1, "ann", 4, 0, 4.0)]
    assert dict(table.columns) == {
        "rank": Kind.NUMBER,
        "player_id": Kind.TEXT,
        "kills": Kind.NUMBER,
        "deaths": Kind.NUMBER,
        "kd_ratio": Kind.NUMBER,
    }
