"""Validates a day's stats file, whichever program wrote it, and opens it to SQL."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Downloaded, InputChanged, Lake
from game_analytics.lake.names import stats_key
from game_analytics.lake.stats_files import WHOLE_AFTER, folder_of
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


def utc_now() -> datetime:
    return datetime.now(UTC)


def connect() -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB. The caller closes it."""
    return duckdb.connect(":memory:", config=DUCKDB_CONFIG)


@contextmanager
def open_stats(
    lake: Lake, connection: duckdb.DuckDBPyConnection, day: date, clock: Callable[[], datetime] = utc_now
) -> Iterator[Downloaded]:
    """Download and validate the day's stats file and open it as the view ``stats``. Yields its ETag and hash; of a
    folder its ETag stands for both.

    One response of S3 supplies content, ETag and hash: DuckDB's own S3 reader sends several requests, between which the
    file may be replaced. Raises `GameAnalyticsError` if there is no file, or a folder that is not whole, `BadStats`
    naming the key if it is invalid, `InputChanged` if parts of a folder were replaced meanwhile.
    """
    with TemporaryDirectory() as folder:
        downloaded, files = _download(lake, day, Path(folder), clock())
        uris = {str(path): uri for path, uri in files.items()}
        try:
            _create_view(connection, uris)
            yield downloaded
        except (BadStats, duckdb.Error) as error:
            raise _bad_stats(error, lake.uri(stats_key(day)), uris) from error


def _download(lake: Lake, day: date, folder: Path, now: datetime) -> tuple[Downloaded, dict[Path, str]]:
    """The day's stats file, and its local files with the URIs that they are from: one, or its parts."""
    key, file = stats_key(day), folder / "stats.parquet"
    downloaded = lake.download(key, file)
    if downloaded is not None:
        return downloaded, {file: lake.uri(key)}
    found = folder_of(lake, day)
    if found is None:
        raise GameAnalyticsError(
            f"{lake.uri(key)} does not exist. Materialize daily_player_stats for {day} first, or put the file there."
        )
    if not found.is_whole(now):
        raise GameAnalyticsError(
            f"{lake.uri(key)} is a folder that is still being written: it has no _SUCCESS, and was last changed at "
            f"{found.last_modified:%H:%M:%S} UTC. Without _SUCCESS it counts as whole after "
            f"{WHOLE_AFTER.seconds // 60} minutes without a change. Wait, or put an empty object {key}/_SUCCESS there."
        )
    files = {folder / f"part-{number}.parquet": part for number, part in enumerate(found.parts)}
    for path, part in files.items():
        received = lake.download(part.key, path)
        if received is None or received.etag != part.etag:
            raise InputChanged
    return Downloaded(found.etag, found.etag), {path: lake.uri(part.key) for path, part in files.items()}


def _create_view(connection: duckdb.DuckDBPyConnection, uris: Mapping[str, str]) -> None:
    types = [_types_of_part(connection, path, uri, len(uris)) for path, uri in uris.items()]
    for uri, others in zip(uris.values(), types, strict=True):
        # DuckDB would read all parts by the types of the first one, and round what does not fit.
        if others != types[0]:
            raise BadStats(f"its parts have different columns: {next(iter(uris.values()))} and {uri}")
    connection.execute("SET VARIABLE stats_paths = $paths", {"paths": list(uris)})
    row = "file_row_number"
    if len(uris) > 1:
        if any(name.lower() == "filename" for name in types[0]):
            raise BadStats("its parts have a column filename, which can't be told from the name of the part: rename it")
        row = "file_row_number + getvariable('stats_offsets')[filename]"
        offsets = {"paths": list(uris), "offsets": _offsets(connection, uris)}
        connection.execute("SET VARIABLE stats_offsets = map($paths, $offsets)", offsets)
    connection.execute(_view("", row))
    ensure_rankable(connection)
    if not are_integers(types[0]):
        connection.execute(_view("::BIGINT", row))


def _offsets(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> list[int]:
    """How many rows stand before those of each file."""
    rows = [connection.execute(_ROWS, {"path": path}).fetchall()[0][0] for path in paths]
    return list(accumulate(rows, initial=0))[:-1]


def _types_of_part(connection: duckdb.DuckDBPyConnection, path: str, uri: str, parts: int) -> dict[str, str]:
    """As `_types`, with the part named where there are several."""
    try:
        return _types(connection, path)
    except BadStats as error:
        raise BadStats(f"{uri}, {error}" if parts > 1 else str(error)) from None


def _types(connection: duckdb.DuckDBPyConnection, path: str) -> dict[str, str]:
    """The columns of a file with their types. Raises `BadStats` if they can't be ranked."""
    file = {"path": path}
    # DuckDB renames columns that differ only in case, and reads wide decimals as floats: the file's own schema tells.
    columns = _columns(connection.execute(_SCHEMA, file).fetchall())
    ensure_distinct([name for name, *_ in columns])
    ensure_exact({name: digits for name, digits, _ in columns}, [name for name, _, is_half in columns if is_half])
    types = dict(connection.execute(_TYPES, file).fetchall())
    ensure_columns(types)
    return types


_SCHEMA = """
    SELECT name, coalesce(num_children, 0), precision, coalesce(logical_type LIKE 'Float16%', false)
    FROM parquet_schema($path)
"""
_TYPES = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))"
_ROWS = "SELECT count(*) FROM read_parquet($path)"


def _view(casts: str, row: str) -> str:
    """The statement that makes the view ``stats`` over the files, from constants."""
    return f"""
        CREATE OR REPLACE TEMPORARY VIEW stats AS
        SELECT player_id, kills{casts} AS kills, deaths{casts} AS deaths, {row} AS row
        FROM read_parquet(getvariable('stats_paths'))
    """  # noqa: S608


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


def _bad_stats(error: Exception, uri: str, uris: Mapping[str, str]) -> BadStats:
    """The error, with the file named; ``uris``: by local path, where the file or its parts are from."""
    advice = "Write the file again; the board published before stays."
    if isinstance(error, BadStats):
        counted = f" (rows are counted through its {len(uris)} parts, by name)" if len(uris) > 1 else ""
        return BadStats(f"{uri}, {error}{counted}. {advice}")
    raw = said = str(error).splitlines()[0]
    for path, of_path in uris.items():
        raw, said = raw.replace(path, ""), said.replace(path, of_path)
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
