"""Tables in a terminal. Text from messages and files is shown literally, without markup or control characters."""

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from game_analytics.errors import printable
from game_analytics.rules.table import Kind, Table, formatted


def visible(text: str) -> Text:
    """Text from outside with control characters as escapes, so that it can't move the cursor or change colours."""
    return Text(printable(text))


def rich_table(table: Table, title: str | None = None, highlighted: str | None = None) -> RichTable:
    """The table, to fit 80 columns. Rows with the cell ``highlighted`` are shown in bold and reversed colours."""
    rendered = RichTable(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for name, kind in table.columns.items():
        rendered.add_column(name, justify="right" if kind is Kind.NUMBER else "left", no_wrap=kind is not Kind.TEXT)
    for row in table.rows:
        style = "bold reverse" if highlighted is not None and highlighted in row else None
        rendered.add_row(*(visible(formatted(value)) for value in row), style=style)
    return rendered


def console() -> Console:
    """Standard output, without rich's syntax highlighting."""
    return Console(highlight=False)
