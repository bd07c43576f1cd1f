"""Tables and column schemas for the Dagster UI. Text from messages and files is shown literally, never as markup."""

import re
from collections.abc import Mapping

import dagster as dg
import polars as pl

from game_analytics.errors import printable
from game_analytics.rules.table import Kind, Table, formatted

_NOT_BARS = re.compile(r"[^|]+")
_ALIGNMENT = {Kind.NUMBER: "--:", Kind.WORD: "---", Kind.TEXT: "---"}


def plain(text: str) -> str:
    """Text from outside as Markdown code, with control characters as escapes. Code is the only form without markup: the
    UI turns URLs into links even if their punctuation is escaped. Bars, which would end a table's cell, are escaped
    outside the code."""
    return _NOT_BARS.sub(lambda part: _code(part[0]), printable(text)).replace("|", r"\|")


def _code(text: str) -> str:
    """A code span. Its fence is longer than any run of backticks in the text; Markdown drops a space on each side."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    needs_spaces = text.strip(" ") != "" and (text[0] in "` " or text[-1] in "` ")
    return f"{fence} {text} {fence}" if needs_spaces else f"{fence}{text}{fence}"


def markdown(table: Table) -> dg.MarkdownMetadataValue:
    """The table in Markdown, numbers right-aligned."""
    cells = [list(table.columns), [_ALIGNMENT[kind] for kind in table.columns.values()]]
    cells += [[_cell(value) for value in row] for row in table.rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(row)} |" for row in cells))


def _cell(value: object) -> str:
    return formatted(value) if isinstance(value, int | float) else plain(formatted(value))


def column_schema(schema: pl.Schema, descriptions: Mapping[str, str]) -> dg.TableSchema:
    """The columns for the asset's page."""
    return dg.TableSchema(
        [dg.TableColumn(name, str(dtype), description=descriptions[name]) for name, dtype in schema.items()]
    )
