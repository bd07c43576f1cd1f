"""A stats file that is a folder of parts, as Spark leaves it: ranked as one, once it is whole."""

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import duckdb
import polars as pl
import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.stats_files import Folder, current_version, folder_of, sorted_out
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.stats_file import connect
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.rules.leaderboard import BadStats
from game_analytics_tests.support.lakes import MemoryLake
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import DAY, at, kill, land, utc

WRITTEN = utc("2026-01-02 06:00")
KEY = "events/2025_12_30_events.parquet"
BOARD = [(1, "ann", 9, 1, 9.0), (2, "bob", 4, 2, 2.0), (3, "cem", 1, 1, 1.0)]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect()) as opened:
        yield opened


def players(*rows: tuple[str, int, int], dtype: pl.DataType = pl.Int64()) -> bytes:  # noqa: B008 - it has no state
    schema = pl.Schema({"player_id": pl.String(), "kills": dtype, "deaths": pl.Int64()})
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(buffer)
    return buffer.getvalue()


ANN, BOB_AND_CEM = players(("ann", 9, 1)), players(("bob", 4, 2), ("cem", 1, 1))


def lake_with(**parts: bytes) -> MemoryLake:
    """A lake whose folder has these parts, written at `WRITTEN`; `_SUCCESS` as ``success``."""
    lake = MemoryLake(clock=lambda: WRITTEN)
    for name, body in parts.items():
        lake.put(f"{KEY}/{'_SUCCESS' if name == 'success' else f'{name}.snappy.parquet'}", body)
    return lake


def rows_of(
    lake: MemoryLake, connection: duckdb.DuckDBPyConnection, now: datetime = WRITTEN
) -> list[tuple[object, ...]]:
    return publish_board(lake, connection, DAY, 0, clock=lambda: now).rows.rows()


def test_the_parts_of_a_folder_are_ranked_as_one_file(connection: duckdb.DuckDBPyConnection) -> None:
    lake = lake_with(part_1=ANN, part_2=BOB_AND_CEM, part_3=players(), success=b"")
    for name in (f"{KEY}/", f"{KEY}/._SUCCESS.crc", f"{KEY}/.part_1.crc", f"{KEY}/_temporary/0/part_1.parquet"):
        lake.put(name, b"no data")
    assert rows_of(lake, connection) == BOARD


def test_the_board_names_the_version_of_the_folder_that_it_was_made_from(connection: duckdb.DuckDBPyConnection) -> None:
    lake = lake_with(part_1=ANN, success=b"")
    stats = publish_board(lake, connection, DAY, 0, clock=lambda: WRITTEN).stats
    assert stats == current_version(lake, DAY)
    [listed] = sorted_out(lake.listing("events/"), WRITTEN).files.values()
    assert (listed.etag, listed.key) == (stats.etag, KEY)


def test_without_success_a_folder_is_ranked_ten_minutes_after_its_last_change(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    lake = lake_with(part_1=ANN, part_2=BOB_AND_CEM)
    with pytest.raises(GameAnalyticsError, match=r"is a folder that is still being written.*06:00:00") as refused:
        rows_of(lake, connection, WRITTEN + timedelta(minutes=10))
    assert f"{KEY}/_SUCCESS" in str(refused.value)
    assert rows_of(lake, connection, WRITTEN + timedelta(minutes=10, seconds=1)) == BOARD


def test_an_object_wins_over_a_folder_of_its_name(connection: duckdb.DuckDBPyConnection) -> None:
    lake = lake_with(part_1=ANN, success=b"")
    lake.put(KEY, BOB_AND_CEM)
    assert [row[1] for row in rows_of(lake, connection)] == ["bob", "cem"]
    [listed] = sorted_out(lake.listing("events/"), WRITTEN).files.values()
    assert not isinstance(listed, Folder)


def test_a_folder_is_another_version_when_a_part_comes_goes_or_changes() -> None:
    lakes = [
        lake_with(part_1=ANN),
        lake_with(part_1=ANN, part_2=BOB_AND_CEM),
        lake_with(part_1=BOB_AND_CEM),
        lake_with(part_2=ANN),
    ]
    versions = [folder.etag for lake in lakes if (folder := folder_of(lake, DAY)) is not None]
    assert len(set(versions)) == len(lakes)
    again = folder_of(lake_with(part_1=ANN, success=b""), DAY)
    assert again is not None
    assert again.etag == versions[0]  # a marker is no part


@pytest.mark.parametrize("names", [["_SUCCESS"], [""], ["_temporary/0/part.parquet"], [".hidden.parquet"]])
def test_a_folder_without_parts_is_no_stats_file(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    lake = MemoryLake(clock=lambda: WRITTEN)
    for name in names:
        lake.put(f"{KEY}/{name}", b"")
    assert folder_of(lake, DAY) is None
    with pytest.raises(GameAnalyticsError, match="does not exist"):
        rows_of(lake, connection)


def test_a_player_in_two_parts_is_refused_with_the_row_counted_through_the_parts(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    lake = lake_with(part_1=BOB_AND_CEM, part_2=players(("ann", 1, 1), ("cem", 2, 2)), success=b"")
    with pytest.raises(BadStats, match=r"column player_id, row 4: 'cem' is here a second time") as refused:
        rows_of(lake, connection)
    assert "counted through its 2 parts" in str(refused.value)


def test_parts_of_different_columns_are_refused_and_named(connection: duckdb.DuckDBPyConnection) -> None:
    fractions = players(("dee", 1, 1), dtype=pl.Float64())
    lake = lake_with(part_1=ANN, part_2=BOB_AND_CEM, part_3=fractions, success=b"")
    with pytest.raises(BadStats, match=r"its parts have different columns: .*part_1.* and .*part_3"):
        rows_of(lake, connection)


def test_parts_of_floats_with_whole_values_are_ranked(connection: duckdb.DuckDBPyConnection) -> None:
    parts = [players((name, kills, 1), dtype=pl.Float64()) for name, kills in (("ann", 9), ("bob", 4))]
    assert rows_of(lake_with(part_1=parts[0], part_2=parts[1], success=b""), connection) == [
        (1, "ann", 9, 1, 9.0),
        (2, "bob", 4, 1, 4.0),
    ]


def test_a_part_that_is_no_parquet_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    lake = lake_with(part_1=ANN, part_2=b"no parquet at all", success=b"")
    with pytest.raises(BadStats, match=r"can't be read as Parquet: .*part_2\.snappy\.parquet"):
        rows_of(lake, connection)


def test_a_day_whose_stats_are_a_folder_of_others_is_not_counted_unless_asked_for() -> None:
    lake = lake_with(part_1=ANN, part_2=BOB_AND_CEM, success=b"")
    land(ListedLog({0: [at(0, "2025-12-30 12:00", kill("zoe"))]}), lake)
    with pytest.raises(GameAnalyticsError, match="is a folder of part files that another program wrote") as refused:
        publish_stats(lake, DAY)
    assert "replace_foreign_stats: true" in str(refused.value)
    publish_stats(lake, DAY, replace_foreign=True)
    stored = lake.read_parquet(KEY)
    assert stored is not None
    assert stored["player_id"].to_list() == ["zoe"]


def test_a_marker_that_is_older_than_a_part_is_none(connection: duckdb.DuckDBPyConnection) -> None:
    lake = lake_with(part_1=ANN, success=b"")
    lake.clock = lambda: WRITTEN + timedelta(minutes=1)
    lake.put(f"{KEY}/part_2.parquet", BOB_AND_CEM)
    with pytest.raises(GameAnalyticsError, match="still being written"):
        rows_of(lake, connection, WRITTEN + timedelta(minutes=2))
    assert rows_of(lake, connection, WRITTEN + timedelta(minutes=12)) == BOARD


def test_parts_with_a_column_that_hides_the_names_of_parts_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"player_id": ["ann"], "kills": [9], "deaths": [1], "FileName": ["a"]}).write_parquet(buffer)
    lake = lake_with(part_1=buffer.getvalue(), part_2=buffer.getvalue(), success=b"")
    with pytest.raises(BadStats, match="its parts have a column filename"):
        rows_of(lake, connection)


def test_a_part_that_lacks_a_column_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"player_id": ["ann"], "kills": [9]}).write_parquet(buffer)
    with pytest.raises(BadStats, match=r"part_2\.snappy\.parquet, .*deaths"):
        rows_of(lake_with(part_1=ANN, part_2=buffer.getvalue(), success=b""), connection)
