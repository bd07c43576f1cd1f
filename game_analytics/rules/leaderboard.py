"""Ranks player stats by SQL in DuckDB, and validates stats before and boards after that.

The statements read a view ``stats`` with the columns ``player_id``, ``kills``, ``deaths`` and ``row`` (the row number
in the file, from 0), which the caller creates over a Parquet file or a frame.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import duckdb
import polars as pl

from game_analytics.errors import GameAnalyticsError, printable

RULE = "kd_ratio = kills / max(deaths, 1); kd_ratio desc, kills desc, deaths asc, player_id asc"
RULE_VERSION = "1"
BOARD_SIZE = 10

BOARD = pl.Schema(
    {
        "rank": pl.Int32(),
        "player_id": pl.String(),
        "kills": pl.Int64(),
        "deaths": pl.Int64(),
        "kd_ratio": pl.Float64(),
    }
)
"""One row per ranked player, sorted by ``rank``."""

STATS_COLUMNS = ("player_id", "kills", "deaths")
_MAX = 2**63 - 1
_ROW = "file_row_number"
_UNTYPED = '"NULL"'  # DuckDB's type for a column that holds only nulls
_INTEGERS = {
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
}
_EXACT_UP_TO = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""The largest whole number up to which floats of a type hold each."""
_POWERS = {2**24: "2^24", 2**53: "2^53", _MAX: "2^63 - 1"}
_MAX_DIGITS = 38
_CURES = {
    "BLOB": "write it as a string: the column lacks the annotation of one (STRING, or UTF8)",
    "UUID": "write it as a string of 36 characters",
}

# DuckDB compares strings by their UTF-8 bytes unless a collation is set.
_ORDER = "kd_ratio DESC, kills DESC, deaths ASC, player_id ASC"
_RATED = """
    SELECT player_id, kills::BIGINT AS kills, deaths::BIGINT AS deaths, kills::DOUBLE / greatest(deaths, 1) AS kd_ratio
    FROM stats
    WHERE kills::BIGINT >= $min_engagements - deaths::BIGINT
"""
# Most of the data to read is player ids. So the tenth-best ratio is computed without them, and then only players who
# reach it are read: for those with fewer kills than the ratio, DuckDB does not even decompress the id.
_LAST_RATIO = f"SELECT kd_ratio FROM ({_RATED}) ORDER BY kd_ratio DESC LIMIT 1 OFFSET $size - 1"  # noqa: S608 - constants
# The ten are selected first and numbered then: numbering all players would sort all players.
_TOP = f"""
    WITH best AS (
        SELECT * FROM ({_RATED} AND kills >= $fewest_kills) WHERE kd_ratio >= $last_ratio ORDER BY {_ORDER} LIMIT $size
    )
    SELECT (row_number() OVER (ORDER BY {_ORDER}))::INTEGER AS rank, * FROM best ORDER BY rank
"""  # noqa: S608 - made of constants
_AROUND = f"""
    WITH ranked AS (SELECT (row_number() OVER (ORDER BY {_ORDER}))::INTEGER AS rank, * FROM ({_RATED}))
    SELECT ranked.* FROM ranked, (SELECT rank FROM ranked WHERE player_id = $player_id) AS own
    WHERE abs(ranked.rank - own.rank) <= $neighbours ORDER BY ranked.rank
"""  # noqa: S608 - made of constants


class BadStats(GameAnalyticsError):
    """A stats file that can't be ranked. The message names the column, the first bad row and the expected values."""


class InvalidBoard(GameAnalyticsError):
    """A computed board that violates its rule. Nothing was written."""


def top_players(connection: duckdb.DuckDBPyConnection, min_engagements: int) -> pl.DataFrame:
    """The best players of ``stats``, at most `BOARD_SIZE`, as `BOARD`. A player needs ``min_engagements`` kills plus
    deaths to be ranked; one who never died is ranked by kills."""
    values = {"min_engagements": min_engagements, "size": BOARD_SIZE}
    row = connection.execute(_LAST_RATIO, values).fetchone()
    last_ratio = 0.0 if row is None else row[0]
    # kills >= ratio, since deaths count as at least 1. Above 2^53 a float64 may be rounded up, so there is no bound.
    fewest_kills = math.floor(last_ratio) if last_ratio <= 2**53 else 0
    return _rows(connection, _TOP, {**values, "last_ratio": last_ratio, "fewest_kills": fewest_kills})


def players_around(
    connection: duckdb.DuckDBPyConnection, player_id: str, min_engagements: int, neighbours: int
) -> pl.DataFrame:
    """One player's row in the full ranking, with ``neighbours`` rows before and after it, as `BOARD`; empty if the
    player is not ranked."""
    values = {"min_engagements": min_engagements, "player_id": player_id, "neighbours": neighbours}
    return _rows(connection, _AROUND, values)


def counts_of(connection: duckdb.DuckDBPyConnection, player_id: str) -> tuple[int, int] | None:
    """The kills and deaths of one player, ranked or not; None if the player is not in ``stats``."""
    row = connection.execute(
        "SELECT kills, deaths FROM stats WHERE player_id = $player_id", {"player_id": player_id}
    ).fetchone()
    return None if row is None else (row[0], row[1])


def _rows(connection: duckdb.DuckDBPyConnection, statement: str, values: Mapping[str, object]) -> pl.DataFrame:
    return pl.DataFrame(connection.execute(statement, dict(values)).fetchall(), schema=BOARD, orient="row")


def ensure_distinct(names: Sequence[str]) -> None:
    """Raises `BadStats` if a column of stats has a namesake, by the names as they stand in the file."""
    for column in STATS_COLUMNS:
        namesakes = [name for name in names if name.lower() == column]
        if len(namesakes) > 1:
            raise BadStats(
                f"columns {' and '.join(map(printable, namesakes))} have the same name but for case, which SQL does "
                f"not tell apart; only {column} may be called so"
            )


def ensure_exact(precisions: Mapping[str, int | None], halves: Collection[str]) -> None:
    """Raises `BadStats` if the type of a count in the file can't be read exactly. ``precisions``: decimal digits by
    column; ``halves``: the columns that are floats of 16 bits."""
    for column in STATS_COLUMNS[1:]:
        if column in halves:
            raise BadStats(
                f"column {column} is a float of 16 bits, which holds each whole number only up to 2^11: write it as an "
                "integer"
            )
        digits = precisions.get(column) or 0
        if digits > _MAX_DIGITS:
            raise BadStats(
                f"column {column} is a decimal of {digits} digits; at most {_MAX_DIGITS} can be read exactly: write it "
                "as an integer of 64 bits"
            )


def are_integers(types: Mapping[str, str]) -> bool:
    """Whether the counts are integers as they stand, rather than floats or decimals."""
    return {types["kills"], types["deaths"]} <= _INTEGERS


def ensure_columns(types: Mapping[str, str]) -> None:
    """Raises `BadStats` unless the file has the columns of stats. ``types`` is from name to DuckDB type; further
    columns are allowed."""
    if any(name.lower() == _ROW for name in types):
        raise BadStats(f"column {_ROW} has a name that DuckDB keeps for itself; rename it")
    for column in STATS_COLUMNS:
        if column not in types:
            raise BadStats(f"column {column} is missing; the file has {printable(', '.join(types)) or 'none'}")
        given = types[column]
        expected = "a string" if column == "player_id" else "an integer, FLOAT, DOUBLE or DECIMAL"
        if given == _UNTYPED:
            raise BadStats(f"column {column} holds nothing but nulls and has no type; {expected} is expected")
        if not (given == "VARCHAR" if column == "player_id" else _is_count(given)):
            cure = f"; {_CURES[given]}" if column == "player_id" and given in _CURES else ""
            raise BadStats(f"column {column} is {printable(given)}; {expected} is expected{cure}")


def _is_count(given: str) -> bool:
    return given in _INTEGERS or given in _EXACT_UP_TO or given.startswith("DECIMAL")


def ensure_rankable(connection: duckdb.DuckDBPyConnection) -> None:
    """Raises `BadStats` if ``stats`` has a null, a count that is negative, not whole or too large, or a player twice.
    FLOAT and DOUBLE count up to 2^24 and 2^53, others up to 2^63 - 1."""
    described = "SELECT column_name, column_type FROM (DESCRIBE SELECT player_id, kills, deaths FROM stats)"
    types = dict(connection.execute(described).fetchall())
    for column in STATS_COLUMNS:
        _ensure_values(connection, column, types[column])
    ensure_each_once(connection)


def ensure_each_once(connection: duckdb.DuckDBPyConnection) -> None:
    """Raises `BadStats` if a player is in ``stats`` twice."""
    if _is_strictly_sorted(connection):
        return  # true of files that this pipeline wrote
    (repeated,) = _one(connection, "SELECT count(*) - count(DISTINCT player_id) FROM stats")
    if repeated:
        row, player_id = _one(
            connection,
            "SELECT row, player_id FROM stats QUALIFY row_number() OVER (PARTITION BY player_id ORDER BY row) = 2 "
            "ORDER BY row LIMIT 1",
        )
        raise BadStats(f"column player_id, row {row + 1}: {player_id!r} is here a second time")


def _is_strictly_sorted(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether each player id is greater than the one before it, so that none repeats. The order in which DuckDB reads
    the rows does not matter. Takes a tenth of the time of counting distinct ids."""
    statement = "SELECT player_id, lag(player_id) OVER () AS previous FROM stats"
    return connection.execute(f"SELECT 1 FROM ({statement}) WHERE player_id <= previous LIMIT 1").fetchone() is None  # noqa: S608 - constants


def _ensure_values(connection: duckdb.DuckDBPyConnection, column: str, given: str) -> None:
    largest = _EXACT_UP_TO.get(given, _MAX)
    is_bad = f"{column} IS NULL"
    if column != "player_id":
        # DuckDB would make the bound a decimal of the column's scale, which may be too fine to hold it.
        number = f"{column}::HUGEINT" if given.startswith("DECIMAL") else column
        is_bad += f" OR {column} < 0 OR {number} > {largest}"
        if given not in _INTEGERS:
            is_bad += f" OR {column} <> trunc({column})"
    first = _first_float if given in _EXACT_UP_TO else _first
    first_bad = first(connection, column, is_bad)
    if first_bad is not None:
        row, value = first_bad
        expected = "a string" if column == "player_id" else f"a whole number from 0 to {_POWERS[largest]}"
        raise BadStats(f"column {column}, row {row + 1}: {'null' if value is None else value}; {expected} is expected")


def _first(connection: duckdb.DuckDBPyConnection, column: str, is_bad: str) -> tuple[int, object] | None:
    """Row and value of the first bad value."""
    statement = f"SELECT row, {column} FROM stats WHERE {is_bad} ORDER BY row LIMIT 1"  # noqa: S608 - made of constants
    return connection.execute(statement).fetchone()


def _first_float(connection: duckdb.DuckDBPyConnection, column: str, is_bad: str) -> tuple[int, object] | None:
    """As `_first`. A filter on a file would skip groups of rows by their bounds, in which NaN is left out, so the
    condition stands inside an aggregate."""
    (row,) = _one(connection, f"SELECT min(row) FILTER (WHERE {is_bad}) FROM stats")  # noqa: S608 - made of constants
    return None if row is None else _first(connection, column, f"row = {row}")


def _one(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[int, ...]:
    row = connection.execute(statement).fetchone()
    if row is None:
        raise AssertionError(f"no row from: {statement}")
    return row


def ensure_valid(board: pl.DataFrame) -> None:
    """Raises `InvalidBoard` unless the board has at most ten rows, ranks 1 to n, unique players, ratios that can be
    recomputed from its counts, and the rule's order."""
    if board.schema != BOARD:
        raise InvalidBoard(
            f"The board breaks its rules: columns are {dict(board.schema)} instead of {dict(BOARD)}. Nothing was "
            "written. Report this."
        )
    ratio = pl.col("kills").cast(pl.Float64) / pl.max_horizontal("deaths", 1)
    by_the_rule = board.sort(["kd_ratio", "kills", "deaths", "player_id"], descending=[True, True, False, False])
    checks = {
        "no value is missing": not any(board.null_count().row(0)),
        "no count is negative": board.filter((pl.col("kills") < 0) | (pl.col("deaths") < 0)).is_empty(),
        f"at most {BOARD_SIZE} rows": board.height <= BOARD_SIZE,
        "ranks are 1 to n": board["rank"].to_list() == list(range(1, board.height + 1)),
        "each player is there once": board["player_id"].n_unique() == board.height,
        "kd_ratio is kills / max(deaths, 1)": board.select((pl.col("kd_ratio") == ratio).all()).item(),
        "the order is the rule's": board.equals(by_the_rule),
    }
    broken = [what for what, holds in checks.items() if not holds]
    if broken:
        raise InvalidBoard(f"The board breaks its rules: {'; '.join(broken)}. Nothing was written. Report this.")
