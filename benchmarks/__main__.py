"""`make bench`: the project beside what its users would otherwise run, and beside the limits of its own parts.

All figures of one call come from one run of the machine, rivals among them. Each is the median of its runs.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks import arrival, backfill, board, command, day, growth, stats, tick
from benchmarks.ground import Ground, prepared_ground
from benchmarks.machine import machine
from benchmarks.rows import Row, table_of
from game_analytics.errors import GameAnalyticsError

_RESULTS = Path(__file__).parent / "results.json"

GROUPS: dict[str, Callable[[Ground], Sequence[Row]]] = {
    "day": day.measure,
    "stats": stats.measure,
    "board": board.measure,
    "growth": growth.measure,
    "backfill": backfill.measure,
    "tick": tick.measure,
    "arrival": arrival.measure,
    "command": command.measure,
}
"""What can be measured by itself, in the order of the table."""


class Measured(msgspec.Struct):
    """A group as it was measured in one call."""

    machine: str
    runs: int
    rows: list[Row]


@click.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Of everything.")
@click.option("--scale", default=1.0, show_default=True, help="A share of the amounts that are asked, for a look.")
@click.argument("groups", nargs=-1, type=click.Choice(list(GROUPS)))
def main(groups: tuple[str, ...], runs: int, scale: float) -> None:
    """Measure GROUPS, or all, and print how each figure compares with what is asked. At full scale results.json and
    growth.svg are written; what was not measured stays there as it was."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every command would compile our modules anew
    console = Console(highlight=False)
    head = machine()
    console.print(head, soft_wrap=True)
    rows: list[Row] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            prepared_ground(Path(folder), runs, scale, lambda line: _tell(console, line)) as ground,
        ):
            for name in groups or GROUPS:
                measured = Measured(head, runs, list(GROUPS[name](ground)))
                rows += measured.rows
                if scale == 1:
                    _keep(name, measured)
    except GameAnalyticsError as error:
        raise click.ClickException(str(error)) from error
    console.print()
    console.print(head, soft_wrap=True)
    of_what = "" if scale == 1 else f", at {scale:g} of the amounts asked"
    console.print(f"Medians of {runs} run{'s' if runs > 1 else ''} each{of_what}")
    console.print(table_of(rows))


def _keep(name: str, measured: Measured) -> None:
    """At once, so that an hour's figures are not lost with a later group's failure."""
    kept = msgspec.json.decode(_RESULTS.read_bytes(), type=dict[str, Measured]) if _RESULTS.exists() else {}
    kept[name] = measured
    in_order = {name: kept[name] for name in GROUPS if name in kept}
    _RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(in_order), indent=2) + b"\n")


def _tell(console: Console, line: str) -> None:
    console.print(f"  {line}", soft_wrap=True)


if __name__ == "__main__":
    main()
