"""Validates a day's stats file, whichever program wrote it, and opens it to SQL."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Downloaded, Lake
from game_analytics.lake.names import stats_key
from game_analytics.rules.leaderboard import (
    BadStats,
    are_integers,
    ensure_columns,
    ensure_distinct,
    ensure_exact,
    ensure_rankable,
)

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
    # DuckDB renames columns that differ only in case, and reads wide decimals as floats: the file's own schema tells.
    columns = _columns(connection.execute(_SCHEMA, file).fetchall())
    ensure_distinct([name for name, *_ in columns])
    ensure_exact({name: digits for name, digits, _ in columns}, [name for name, _, is_half in columns if is_half])
    types = dict(connection.execute(_TYPES, file).fetchall())
    ensure_columns(types)
    connection.execute("SET VARIABLE stats_path = $path", file)
    connection.execute(_VIEW)
    ensure_rankable(connection)
    if not are_integers(types):
        connection.execute(_VIEW_OF_INTEGERS)


_SCHEMA = """
    SELECT name, coalesce(num_children, 0), precision, coalesce(logical_type LIKE 'Float16%', false)
    FROM parquet_schema($path)
"""
_TYPES = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))"
_VIEW = """
    CREATE OR REPLACE TEMPORARY VIEW stats AS
    SELECT player_id, kills, deaths, file_row_number AS row FROM read_parquet(getvariable('stats_path'))
"""
_VIEW_OF_INTEGERS = """
    CREATE OR REPLACE TEMPORARY VIEW stats AS
    SELECT player_id, kills::BIGINT AS kills, deaths::BIGINT AS deaths, file_row_number AS row
    FROM read_parquet(getvariable('stats_path'))
"""


def _columns(elements: Sequence[tuple[str, int, int | None, bool]]) -> list[tuple[str, int | None, bool]]:
    """The top-level columns of a Parquet schema: name, decimal digits, whether a float of 16 bits. ``elements``: name,
    number of children, digits and whether a half, each followed by its children; the first is the root."""
    columns: list[tuple[str, int | None, bool]] = []
    inside = 0
    for name, children, digits, is_half in elements[1:]:
        if not inside:
            columns.append((name, digits, is_half))
        inside += children - bool(inside)
    return columns


def _bad_stats(error: Exception, uri: str, path: str) -> BadStats:
    """The error, with the file named."""
    advice = "Write the file again; the board published before stays."
    if isinstance(error, BadStats):
        return BadStats(f"{uri}, {error}. {advice}")
    raw = str(error).splitlines()[0].replace(path, "")
    said = str(error).splitlines()[0].replace(path, uri)
    for sign, fault in _UNREADABLE.items():
        if re.search(sign, raw):
            return BadStats(f"{uri} {fault} ({said}). {advice}")
    return BadStats(f"{uri} can't be read as Parquet: {said}. {advice}")


_UNREADABLE = {
    "valid UTF-?8": "holds a string that is not UTF-8: write strings as UTF-8",
    "is encrypted": "is encrypted Parquet, which is not read here: write it without encryption",
    "[Cc]ompression codec": "is compressed by a codec that DuckDB does not read: write it with zstd, snappy, gzip, "
    "brotli or LZ4",
    "[Uu]nsupported (?:page )?encoding": "has a column in an encoding that DuckDB does not read: write it with PLAIN "
    "or dictionary encoding",
}
"""By a pattern of DuckDB's message, what is wrong with a file that is Parquet all the same."""
