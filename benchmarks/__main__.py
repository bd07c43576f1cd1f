"""`make bench`: the project compared with the tools that its users would otherwise run, and with its own lower bounds.

All figures of a call, rivals included, are measured on the same machine, one after the other; each is a median.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks import arrival, backfill, board, command, day, growth, stats, tick
from benchmarks.bench import Bench, open_bench
from benchmarks.machine import machine
from benchmarks.rows import Row, table_of
from game_analytics.errors import GameAnalyticsError

_RESULTS = Path(__file__).parent / "results.json"

GROUPS: dict[str, Callable[[Bench], Sequence[Row]]] = {
    "day": day.measure,
    "stats": stats.measure,
    "board": board.measure,
    "growth": growth.measure,
    "backfill": backfill.measure,
    "tick": tick.measure,
    "arrival": arrival.measure,
    "command": command.measure,
}
"""The groups that can be measured separately, in the order of the table."""


class Measured(msgspec.Struct):
    """The results of a group in one call."""

    machine: str
    runs: int
    rows: list[Row]


@click.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="How often everything is measured.")
@click.option("--scale", default=1.0, show_default=True, help="A fraction of the full amounts, for a quick look.")
@click.argument("groups", nargs=-1, type=click.Choice(list(GROUPS)))
def main(groups: tuple[str, ...], runs: int, scale: float) -> None:
    """Measure GROUPS, or all, and print how each figure compares with its goal. At full scale results.json and
    growth.svg are written; results of other groups are kept."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every command would compile our modules again
    console = Console(highlight=False)
    head = machine()
    console.print(head, soft_wrap=True)
    rows: list[Row] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            open_bench(Path(folder), runs, scale, lambda line: _print(console, line)) as bench,
        ):
            for name in groups or GROUPS:
                measured = Measured(head, runs, list(GROUPS[name](bench)))
                rows += measured.rows
                if scale == 1:
                    _save(name, measured)
    except GameAnalyticsError as error:
        raise click.ClickException(str(error)) from error
    console.print()
    console.print(head, soft_wrap=True)
    of_what = "" if scale == 1 else f", at {scale:g} of the full amounts"
    console.print(f"Medians of {runs} run{'s' if runs > 1 else ''} each{of_what}")
    console.print(table_of(rows))


def _save(name: str, measured: Measured) -> None:
    """Save a group when it is done, so that the failure of a later one does not lose it."""
    kept = msgspec.json.decode(_RESULTS.read_bytes(), type=dict[str, Measured]) if _RESULTS.exists() else {}
    kept[name] = measured
    in_order = {name: kept[name] for name in GROUPS if name in kept}
    _RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(in_order), indent=2) + b"\n")


def _print(console: Console, line: str) -> None:
    console.print(f"  {line}", soft_wrap=True)


if __name__ == "__main__":
    main()
