"""Stats as a view ``stats`` over a Parquet file in DuckDB, created as by the asset."""

from itertools import count
from pathlib import Path

import duckdb
import polars as pl

from game_analytics_tests.support.harness import parquet

Player = tuple[str, int, int]
"""Player id, kills, deaths."""


def frame_of(players: list[Player]) -> pl.DataFrame:
    """A stats file's content, as this pipeline writes it."""
    return pl.DataFrame(players, schema={"player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64}, orient="row")


class StatsFiles:
    """Writes each file under a new name, since DuckDB may cache the content of a name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()
        self._connection = duckdb.connect()

    def write(self, stats: pl.DataFrame, row_group_size: int | None = None) -> str:
        path = self._directory / f"{next(self._numbers)}.parquet"
        stats.write_parquet(path, row_group_size=row_group_size)
        return str(path)

    def lay(self, stats: pl.DataFrame, row_group_size: int | None = None) -> duckdb.DuckDBPyConnection:
        """The view ``stats`` over these rows; the connection that has it."""
        self._connection.execute("SET VARIABLE stats_path = $path", {"path": self.write(stats, row_group_size)})
        return self._connection.execute(
            "CREATE OR REPLACE TEMPORARY VIEW stats AS "
            "SELECT player_id, kills, deaths, file_row_number AS row FROM read_parquet(getvariable('stats_path'))"
        )

    def types(self, stats: pl.DataFrame) -> dict[str, str]:
        """The columns of a file with these rows, and the types that DuckDB gives them."""
        columns = self._connection.execute("SELECT * FROM read_parquet($path) LIMIT 0", {"path": self.write(stats)})
        return {name: str(dtype) for name, dtype, *_ in columns.description or []}

    def close(self) -> None:
        self._connection.close()


def columns(**columns: pl.Series | list[object]) -> pl.DataFrame:
    good: dict[str, object] = {"player_id": ["ann", "bob", "cid"], "kills": [1, 2, 3], "deaths": [1, 1, 1]}
    return pl.DataFrame({name: values for name, values in {**good, **columns}.items() if values is not None})


# The content, and what the error names.
BAD_FILES: dict[str, tuple[bytes | pl.DataFrame, list[str]]] = {
    "an empty object": (b"", ["too small"]),
    "no Parquet at all": (b"player_id,kills,deaths\nann,1,1\n" * 20, ["can't be read as Parquet"]),
    "half a Parquet file": (b"PAR1" + b"\x00" * 40 + b"PAR1", ["can't be read as Parquet"]),
    "a name that is no UTF-8": (parquet(columns()).replace(b"deaths", b"death\xb5"), ["can't be read as Parquet"]),
    "no deaths": (columns().drop("deaths"), ["column deaths is missing", "player_id, kills"]),
    "another case": (columns().rename({"kills": "Kills"}), ["column kills is missing"]),
    "a name that colours": (
        columns().rename({"kills": "evil\x1b[31m\nkills"}),
        ["column kills is missing", r"evil\x1b[31m\nkills"],
    ),
    "a name of DuckDB's own": (columns(file_row_number=["x", "y", "z"]), ["column file_row_number"]),
    "a fraction": (columns(kills=[1.0, 2.5, 3.0]), ["column kills, row 2: 2.5", "whole number"]),
    "numbers as text": (columns(deaths=["1", "2", "3"]), ["column deaths is VARCHAR", "integer"]),
    "players as numbers": (columns(player_id=[1, 2, 3]), ["column player_id is BIGINT", "string"]),
    "a player without a name": (columns(player_id=["ann", None, "cid"]), ["column player_id", "row 2", "null"]),
    "no count": (columns(kills=[1, 2, None]), ["column kills", "row 3", "null"]),
    "nulls without a type": (columns(kills=[None, None, None]), ["column kills holds nothing but nulls", "integer"]),
    "a negative count": (columns(deaths=[0, -1, -2]), ["column deaths", "row 2", "-1"]),
    "a count beyond int64": (
        columns(kills=pl.Series([1, 2**63, 1], dtype=pl.UInt64)),
        ["column kills", "row 2", "9223372036854775808"],
    ),
    "a player twice": (columns(player_id=["ann", "bob", "ann"]), ["column player_id", "row 3", "'ann'", "second time"]),
}
