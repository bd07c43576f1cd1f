"""What people read about a materialization in the UI: tables and text. Whatever a message or a file brought along is
shown as text, never as markup."""

import re
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import polars as pl

from game_analytics.errors import printable
from game_analytics.lake.manifest import Account
from game_analytics.landing.day import Landing

_PIECE_OF_A_CELL = re.compile(r"[^|]+")
_SAMPLE_LENGTH = 60
_COUNTS = ("read", "gaps", "landed", "ignored", "other_days", "quarantined")


def plain(text: str) -> str:
    """Foreign text inside Markdown, as code, with control characters as escapes. In code alone nothing is markup: the
    UI makes links even of addresses whose punctuation is escaped. Bars would end a table's cell and stand outside."""
    return _PIECE_OF_A_CELL.sub(lambda piece: _code(piece[0]), printable(text)).replace("|", r"\|")


def _code(text: str) -> str:
    """Between more backticks than stand anywhere in it. One space on each side is not part of it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    needs_spaces = text.strip(" ") != "" and (text[0] in "` " or text[-1] in "` ")
    return f"{fence} {text} {fence}" if needs_spaces else f"{fence}{text}{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A Markdown table; numbers stand to the right, with thousands separated."""
    body = [list(row) for row in rows]
    lines = [
        header,
        [_alignment([row[place] for row in body]) for place in range(len(header))],
        *([_cell(value) for value in row] for row in body),
    ]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _alignment(column: Sequence[object]) -> str:
    return "--:" if all(isinstance(value, int | float) or value == "" for value in column) else "---"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    return plain(str(value))


def board_table(board: pl.DataFrame) -> dg.MarkdownMetadataValue:
    return table(board.columns, board.iter_rows())


def account_table(landing: Landing) -> dg.MarkdownMetadataValue:
    """The account of the day, a line per partition and one for all."""
    columns = [name for name in Account.__struct_fields__ if name != "next_day_first"]
    total = landing.manifest.total()
    rows = [[getattr(account, name) for name in columns] for account in landing.manifest.partitions]
    # Offsets don't add up to anything.
    return table(columns, [*rows, ["all", "", "", *(total[name] for name in columns[3:])]])


def account_lines(landing: Landing) -> str:
    """The same as text for the run's log."""
    lines = []
    for account in landing.manifest.partitions:
        counts = ", ".join(f"{getattr(account, name):,} {name.replace('_', ' ')}" for name in _COUNTS)
        lines.append(f"partition {account.partition}, offsets {account.first:,} to {account.end:,}: {counts}")
    total = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in landing.manifest.total().items())
    return "\n".join([*lines, f"all: {total}"])


def quarantine_table(reasons: Mapping[str, int], samples: Mapping[str, bytes | None]) -> dg.MarkdownMetadataValue:
    """How many messages could not be read, by reason, with the beginning of one of each."""
    return table(
        ["reason", "messages", "sample"],
        [(reason, count, _beginning(samples[reason])) for reason, count in reasons.items()],
    )


def _beginning(value: bytes | None) -> str:
    if value is None:
        return "(no value)"
    text = repr(value[:_SAMPLE_LENGTH])[2:-1]
    return f"{text} … ({len(value):,} bytes)" if len(value) > _SAMPLE_LENGTH else text


def column_schema(schema: pl.Schema, descriptions: Mapping[str, str]) -> dg.TableSchema:
    """The columns as the asset's page lists them."""
    return dg.TableSchema(
        [dg.TableColumn(name, str(dtype), description=descriptions[name]) for name, dtype in schema.items()]
    )
