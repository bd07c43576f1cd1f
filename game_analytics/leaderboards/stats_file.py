"""Validates a day's stats file, whichever program wrote it, and opens it to SQL."""

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
"""No extensions: reading local Parquet files needs none, and none is downloaded at run time."""


def connect() -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB. The caller closes it."""
    return duckdb.connect(":memory:", config=DUCKDB_CONFIG)


@contextmanager
def open_stats(lake: Lake, connection: duckdb.DuckDBPyConnection, day: date) -> Iterator[Downloaded]:
    """Download and validate the day's stats file and open it as the view ``stats``. Yields its ETag and hash.

    One response of S3 supplies content, ETag and hash: DuckDB's own S3 reader sends several requests, between which the
    file may be replaced. Raises `GameAnalyticsError` if there is no file, `BadStats` naming its key if it is invalid.
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
            _create_view(connection, str(file))
            yield downloaded
        except (BadStats, duckdb.Error) as error:
            raise _bad_stats(error, lake.uri(key), str(file)) from error


def _create_view(connection: duckdb.DuckDBPyConnection, path: str) -> None:
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
    """The error, with the file named."""
    advice = "Write the file again; the board published before stays."
    if isinstance(error, BadStats):
        return BadStats(f"{uri}, {error}. {advice}")
    reason = str(error).splitlines()[0].replace(path, uri)
    return BadStats(f"{uri} can't be read as Parquet: {reason}. {advice}")
