"""A day's stats file, whatever program wrote it: checked, and laid open to SQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Downloaded, Lake
from game_analytics.lake.names import stats_key
from game_analytics.rules.leaderboard import BadStats, ensure_columns, ensure_rankable

DUCKDB_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""It reads files of this machine, and needs no extension for that: none is downloaded at run time."""


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own, in memory. Close it when done."""
    return duckdb.connect(":memory:", config=DUCKDB_CONFIG)


@contextmanager
def open_stats(lake: Lake, connection: duckdb.DuckDBPyConnection, day: date) -> Iterator[Downloaded]:
    """The day's stats file as the view ``stats``, checked, and what it is called. Raises `BadStats` naming the key.

    All that is read comes from one answer of S3, as do ETag and hash: DuckDB itself asks several times, and a file that
    is replaced in between, even by what it was before, would be read in part.
    """
    key = stats_key(day)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "stats.parquet"
        downloaded = lake.download(key, file)
        if downloaded is None:
            raise GameAnalyticsError(
                f"{lake.uri(key)} does not exist. Materialize daily_player_stats for {day} first, or put the file "
                "there."
            )
        try:
            _lay_view(connection, str(file))
            yield downloaded
        except (BadStats, duckdb.Error) as error:
            raise _bad_stats(error, lake.uri(key), str(file)) from error


def _lay_view(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    file = {"path": path}
    described = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))"
    ensure_columns(dict(connection.execute(described, file).fetchall()))
    connection.execute("SET VARIABLE stats_path = $path", file)
    connection.execute(
        "CREATE OR REPLACE TEMPORARY VIEW stats AS "
        "SELECT player_id, kills, deaths, file_row_number AS row FROM read_parquet(getvariable('stats_path'))"
    )
    ensure_rankable(connection)


def _bad_stats(error: Exception, uri: str, path: str) -> BadStats:
    """The fault of a stats file, with the file named."""
    stays = "Write the file anew; the board that stood before stays."
    if isinstance(error, BadStats):
        return BadStats(f"{uri}, {error}. {stays}")
    reason = str(error).splitlines()[0].replace(path, uri)
    return BadStats(f"{uri} can't be read as Parquet: {reason}. {stays}")
