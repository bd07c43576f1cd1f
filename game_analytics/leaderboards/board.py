"""What a board is, apart from how it is ranked: its key, its columns, its rule. The list of all is in `boards`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from game_analytics.lake.names import board_key, day_of_board_key
from game_analytics.rules.table import Kind, Table


@dataclass(frozen=True)
class Board:
    """One published board a day."""

    name: str
    """In its key: ``leaderboard/2025_12_30_<name>.parquet``. Lower case letters, digits and underscores."""
    asset: str
    """The Dagster asset that publishes it."""
    title: str
    """As people read it above the table, in front of the day."""
    schema: pl.Schema
    """Its columns; one row per ranked player, sorted by ``rank``."""
    descriptions: Mapping[str, str]
    """Column to what it holds."""
    rule: str
    """How players are ranked, in one line: the ratio and the order."""
    rule_version: str
    """Another one means that the same stats give another board."""

    def key(self, day: date) -> str:
        return board_key(day, self.name)

    def day_of_key(self, key: str) -> date | None:
        """The day of this board's key, None if the key is not one of this board."""
        return day_of_board_key(key, self.name)

    def table(self, rows: pl.DataFrame) -> Table:
        """Rows of the board, for people."""
        kinds = {name: Kind.NUMBER if dtype.is_numeric() else Kind.TEXT for name, dtype in self.schema.items()}
        return Table(kinds, rows.rows())
