"""`game-analytics check-lake`: whether an S3 server keeps what this pipeline relies on."""

from rich.console import Console

from game_analytics.cli.terminal import rich_table
from game_analytics.lake.bucket import Lake
from game_analytics.lake.conformance import PROMISES, Tried, check_lake
from game_analytics.rules.table import Kind, Table
from game_analytics.settings import read_settings


def show_check(console: Console) -> bool:
    """Try the server that the environment names, and print a table. Returns whether all promises were kept.

    Raises `GameAnalyticsError` if the lake can't be opened, and `Unavailable` if S3 does not answer.
    """
    lake = Lake.open(read_settings().lake)
    tried: list[Tried] = []
    with console.status(f"{len(PROMISES)} promises are tried …") as status:
        for each in check_lake(lake):
            tried.append(each)
            status.update(f"{len(tried)} of {len(PROMISES)} promises are tried …")
    broken = [each for each in tried if each.seen is not None]
    columns = {"what is relied on": Kind.TEXT, "kept": Kind.WORD, "seen instead": Kind.TEXT}
    rows = [(each.promise, "no" if each.seen else "yes", each.seen or "") for each in tried]
    console.print(rich_table(Table(columns, rows), title=lake.place))
    if broken:
        console.print(
            f"{len(broken)} of {len(tried)} are not kept: on this server runs may lose or overwrite each other's "
            "results. Use another one, or a version of it that keeps them.",
            style="bold",
            soft_wrap=True,
        )
    return not broken
