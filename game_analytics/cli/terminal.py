"""What people see in a terminal: tables of boards and accounts. Foreign text is shown as text, never as markup or
control characters."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from game_analytics.errors import printable


def visible(text: str) -> Text:
    """Text from outside, with control characters as escapes: it can neither move the cursor nor change colours."""
    return Text(printable(text))


def board_table(title: str, board: pl.DataFrame, highlighted: str | None = None) -> Table:
    """Ranked players, the ratio with two decimals; the line of one player may stand out."""
    table = _table(title)
    for name in board.columns:
        table.add_column(name, justify="left" if name == "player_id" else "right", no_wrap=name != "player_id")
    for row in board.iter_rows(named=True):
        style = "bold reverse" if row["player_id"] == highlighted else None
        table.add_row(*(_cell(value) for value in row.values()), style=style)
    return table


def account_table(title: str, columns: Sequence[str], days: Mapping[str, Iterable[object]]) -> Table:
    """One line of counts for each day."""
    table = _table(title)
    table.add_column("day", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for day, counts in days.items():
        table.add_row(visible(day), *(_cell(count) for count in counts))
    return table


def reasons_table(reasons: Mapping[str, int]) -> Table:
    """How many messages were quarantined, one line a reason."""
    table = _table()
    table.add_column("reason", no_wrap=True)
    table.add_column("messages", justify="right", no_wrap=True)
    for reason, count in reasons.items():
        table.add_row(visible(reason), _cell(count))
    return table


def _table(title: str | None = None) -> Table:
    """Made to fit a terminal of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )


def _cell(value: object) -> Text:
    if isinstance(value, float):
        return Text(f"{value:,.2f}")
    if isinstance(value, int):
        return Text(f"{value:,}")
    return visible(str(value))


def console() -> Console:
    """Standard output; highlighting of numbers and the like is left off, the tables speak for themselves."""
    return Console(highlight=False)
