"""A table for people, independent of where it is shown: `defs.metadata` renders it as Markdown for the UI,
`cli.terminal` with rich. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a column holds."""

    NUMBER = auto()
    """To the right."""
    WORD = auto()
    """One of this package's own words, a day or a partition: to the left, never broken into lines."""
    TEXT = auto()
    """Text from outside: to the left, broken into lines where the terminal is narrow."""


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns."""

    columns: Mapping[str, Kind]
    rows: Sequence[Sequence[object]]


def written(value: object) -> str:
    """A value as it is read: whole numbers with their thousands separated, other numbers with two decimals."""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
