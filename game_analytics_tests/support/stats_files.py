"""Stats as DuckDB sees them: a view ``stats`` over a Parquet file, laid as the asset lays it."""

from itertools import count
from pathlib import Path

import duckdb
import polars as pl

Player = tuple[str, int, int]
"""Who, kills, deaths."""


def frame_of(players: list[Player]) -> pl.DataFrame:
    """A stats file's content, as this pipeline writes it."""
    return pl.DataFrame(players, schema={"player_id": pl.String, "kills": pl.Int64, "deaths": pl.Int64}, orient="row")


class StatsFiles:
    """Writes each file under a name of its own: DuckDB may remember what stood under one a moment ago."""

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
