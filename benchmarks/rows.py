"""A row of the results: what was measured, what it is compared with, and the goal. Also the table in the terminal."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

import msgspec
from rich import box
from rich.table import Table

Unit = Literal["s", "MiB"]


class Row(msgspec.Struct, frozen=True):
    """One figure. Each list has one value per run."""

    what: str
    unit: Unit
    ours: Sequence[float]
    others: Mapping[str, Sequence[float]]
    """By name; empty if the goal is an absolute value."""
    asked: str
    """The goal."""
    reached: str
    holds: bool

    @property
    def median(self) -> float:
        """The median of our own runs."""
        return median(self.ours)


def times_less(
    what: str, unit: Unit, ours: Sequence[float], other: str, theirs: Sequence[float], at_least: float
) -> Row:
    """The goal: ours takes at least so many times less than the other."""
    ratio = median(theirs) / median(ours)
    return Row(what, unit, ours, {other: theirs}, f"≥ {at_least:g} times less", f"{ratio:.1f} times", ratio >= at_least)


def at_most_times(
    what: str, unit: Unit, ours: Sequence[float], others: Mapping[str, Sequence[float]], limit: float
) -> Row:
    """The goal: ours takes at most ``limit`` times as much as the best of the others."""
    best = min(others, key=lambda name: median(others[name]))
    ratio = median(ours) / median(others[best])
    return Row(what, unit, ours, others, f"≤ {limit:g} times", f"{ratio:.2f} times {best}", ratio <= limit)


def at_most_more(
    what: str, unit: Unit, ours: Sequence[float], other: str, theirs: Sequence[float], limit: float
) -> Row:
    """The goal: ours takes at most ``limit`` more than the other."""
    more = median(ours) - median(theirs)
    return Row(what, unit, ours, {other: theirs}, f"≤ {limit:g} {unit} more", f"{more:+.2f} {unit}", more <= limit)


def at_most(what: str, unit: Unit, ours: Sequence[float], limit: float) -> Row:
    """The goal: ours takes at most ``limit``."""
    taken = median(ours)
    return Row(what, unit, ours, {}, f"≤ {limit:,g} {unit}", _amount(taken, unit), taken <= limit)


def table_of(rows: Sequence[Row]) -> Table:
    """All rows as a table of medians, and whether each goal is reached."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure")
    table.add_column("ours", justify="right")
    table.add_column("compared with")
    for name in ("goal", "reached"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        others = "\n".join(f"{name}: {_amount(median(runs), row.unit)}" for name, runs in row.others.items())
        verdict = "[green]yes[/]" if row.holds else "[red]SHORT[/]"
        table.add_row(row.what, _amount(row.median, row.unit), others, row.asked, row.reached, verdict)
    return table


def _amount(value: float, unit: Unit) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"
