"""The description of a board: its key, columns and rule. The list of all boards is in `boards`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from game_analytics.lake.names import board_key, day_of_board_key
from game_analytics.rules.table import Kind, Table


@dataclass(frozen=True)
class Board:
    """A board that is published once per day."""

    name: str
    """In its key: ``leaderboard/2025_12_30_<name>.parquet``. Lower case letters, digits and underscores."""
    asset: str
    """The Dagster asset that publishes it."""
    title: str
    """The heading, followed by the day."""
    schema: pl.Schema
    """Its columns; one row per ranked player, sorted by ``rank``."""
    descriptions: Mapping[str, str]
    """By column."""
    rule: str
    """How players are ranked, in one line: the ratio and the order."""
    rule_version: str
    """Changes whenever the same stats would give another board."""

    def key(self, day: date) -> str:
        return board_key(day, self.name)

    def day_of_key(self, key: str) -> date | None:
        """The day of the key, None if it is not a key of this board."""
        return day_of_board_key(key, self.name)

    def table(self, rows: pl.DataFrame) -> Table:
        """The rows as a table to show."""
        kinds = {name: Kind.NUMBER if dtype.is_numeric() else Kind.TEXT for name, dtype in self.schema.items()}
        return Table(kinds, rows.rows())
