"""What people read about a materialization in the UI: Markdown, and the columns of an asset. Text from messages and
files is shown as text, never as markup."""

import re
from collections.abc import Mapping

import dagster as dg
import polars as pl

from game_analytics.errors import printable
from game_analytics.rules.table import Kind, Table, written

_UP_TO_A_BAR = re.compile(r"[^|]+")
_ALIGNED = {Kind.NUMBER: "--:", Kind.WORD: "---", Kind.TEXT: "---"}


def plain(text: str) -> str:
    """Foreign text as Markdown code, with control characters as escapes. Only in code is nothing markup: the UI makes
    links even of addresses whose punctuation is escaped. Bars would end a table's cell, so they stand outside."""
    return _UP_TO_A_BAR.sub(lambda part: _code(part[0]), printable(text)).replace("|", r"\|")


def _code(text: str) -> str:
    """Fenced by more backticks than follow each other anywhere in it. Markdown drops one space on each side."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    needs_spaces = text.strip(" ") != "" and (text[0] in "` " or text[-1] in "` ")
    return f"{fence} {text} {fence}" if needs_spaces else f"{fence}{text}{fence}"


def markdown(table: Table) -> dg.MarkdownMetadataValue:
    """A Markdown table; numbers are aligned to the right."""
    cells = [list(table.columns), [_ALIGNED[kind] for kind in table.columns.values()]]
    cells += [[_cell(value) for value in row] for row in table.rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(row)} |" for row in cells))


def _cell(value: object) -> str:
    return written(value) if isinstance(value, int | float) else plain(written(value))


def column_schema(schema: pl.Schema, descriptions: Mapping[str, str]) -> dg.TableSchema:
    """The columns as the asset's page lists them."""
    return dg.TableSchema(
        [dg.TableColumn(name, str(dtype), description=descriptions[name]) for name, dtype in schema.items()]
    )
