"""A row of the table: what was measured, beside what it is compared with and what was asked. How it looks in the
terminal."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

import msgspec
from rich import box
from rich.table import Table

Unit = Literal["s", "MiB"]


class Row(msgspec.Struct, frozen=True):
    """One figure. Every list holds one value for each run, in the order of the runs."""

    what: str
    unit: Unit
    ours: Sequence[float]
    others: Mapping[str, Sequence[float]]
    """By name; nothing where the mark is an absolute one."""
    asked: str
    reached: str
    holds: bool

    @property
    def median(self) -> float:
        """Of our own runs."""
        return median(self.ours)


def times_less(
    what: str, unit: Unit, ours: Sequence[float], other: str, theirs: Sequence[float], at_least: float
) -> Row:
    """We must take so many times less than the other."""
    ratio = median(theirs) / median(ours)
    return Row(what, unit, ours, {other: theirs}, f"≥ {at_least:g} times less", f"{ratio:.1f} times", ratio >= at_least)


def at_most_times(
    what: str, unit: Unit, ours: Sequence[float], others: Mapping[str, Sequence[float]], limit: float
) -> Row:
    """We may take so many times as much as the best of the others."""
    best = min(others, key=lambda name: median(others[name]))
    ratio = median(ours) / median(others[best])
    return Row(what, unit, ours, others, f"≤ {limit:g} times", f"{ratio:.2f} times {best}", ratio <= limit)


def at_most_more(
    what: str, unit: Unit, ours: Sequence[float], other: str, theirs: Sequence[float], limit: float
) -> Row:
    """We may take so much more than the other."""
    more = median(ours) - median(theirs)
    return Row(what, unit, ours, {other: theirs}, f"≤ {limit:g} {unit} more", f"{more:+.2f} {unit}", more <= limit)


def at_most(what: str, unit: Unit, ours: Sequence[float], limit: float) -> Row:
    """We may take so much and no more."""
    taken = median(ours)
    return Row(what, unit, ours, {}, f"≤ {limit:,g} {unit}", _amount(taken, unit), taken <= limit)


def table_of(rows: Sequence[Row]) -> Table:
    """All rows as people read them: medians, and whether what was asked is reached."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure")
    table.add_column("ours", justify="right")
    table.add_column("against")
    for name in ("asked", "reached"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        others = "\n".join(f"{name}: {_amount(median(runs), row.unit)}" for name, runs in row.others.items())
        verdict = "[green]yes[/]" if row.holds else "[red]SHORT[/]"
        table.add_row(row.what, _amount(row.median, row.unit), others, row.asked, row.reached, verdict)
    return table


def _amount(value: float, unit: Unit) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"
