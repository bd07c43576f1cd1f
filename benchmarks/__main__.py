"""`make bench`: the project beside what its users would otherwise run, and beside the limits of its own parts.

All figures of one call come from one run of the machine, rivals among them. Each is the median of its runs.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks import stats
from benchmarks.ground import Ground, prepared_ground
from benchmarks.machine import machine
from benchmarks.rows import Row, table_of
from game_analytics.errors import GameAnalyticsError

_HERE = Path(__file__).parent

GROUPS: dict[str, Callable[[Ground], Sequence[Row]]] = {
    "stats": stats.measure,
}
"""What can be measured by itself, in the order of the table."""


class Results(msgspec.Struct):
    """What `results.json` holds."""

    machine: str
    runs: int
    scale: float
    rows: list[Row]


@click.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Of everything.")
@click.option("--scale", default=1.0, show_default=True, help="A share of the amounts that are asked, for a look.")
@click.argument("groups", nargs=-1, type=click.Choice(list(GROUPS)))
def main(groups: tuple[str, ...], runs: int, scale: float) -> None:
    """Measure GROUPS, or all, and print how each figure compares with what is asked. All of it at full scale also
    writes results.json and growth.svg."""
    console = Console(highlight=False)
    head = machine()
    console.print(head, soft_wrap=True)
    chosen = groups or tuple(GROUPS)
    rows: list[Row] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            prepared_ground(Path(folder), runs, scale, lambda line: _tell(console, line)) as ground,
        ):
            for name in chosen:
                rows += GROUPS[name](ground)
    except GameAnalyticsError as error:
        raise click.ClickException(str(error)) from error
    console.print()
    console.print(head, soft_wrap=True)
    console.print(
        f"Medians of {runs} run{'s' if runs > 1 else ''} each"
        + ("" if scale == 1 else f", at {scale:g} of the amounts asked")
    )
    console.print(table_of(rows))
    if not groups and scale == 1:
        results = Results(head, runs, scale, rows)
        (_HERE / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def _tell(console: Console, line: str) -> None:
    console.print(f"  {line}", soft_wrap=True)


if __name__ == "__main__":
    main()
