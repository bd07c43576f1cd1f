"""A table to be shown: `defs.metadata` renders it as Markdown for the UI, `cli.terminal` with rich. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a column holds, and so how it is laid out."""

    NUMBER = auto()
    """Right-aligned."""
    WORD = auto()
    """A short label, such as a day or a reason: left-aligned, never wrapped."""
    TEXT = auto()
    """Text from outside: left-aligned, wrapped in a narrow terminal."""


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns."""

    columns: Mapping[str, Kind]
    rows: Sequence[Sequence[object]]


def formatted(value: object) -> str:
    """The value as text: integers with thousands separators, floats with two decimals."""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
