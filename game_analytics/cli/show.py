"""`game-analytics show`: a day's published board, or one player's rank among all players of the day."""

from contextlib import closing
from datetime import date

import polars as pl
from rich.console import Console

from game_analytics.cli.terminal import rich_table
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import MIN_ENGAGEMENTS
from game_analytics.lake.names import board_key
from game_analytics.leaderboards.boards import BOARDS
from game_analytics.leaderboards.stats_file import connect, open_stats
from game_analytics.leaderboards.top10 import TOP10
from game_analytics.rules.leaderboard import counts_of, players_around
from game_analytics.settings import read_settings

NEIGHBOURS = 2


def show_board(console: Console, day: date) -> None:
    """Print the published boards. Raises `GameAnalyticsError` if one is missing."""
    lake = Lake.open(read_settings().lake)
    for board in BOARDS:
        rows = lake.read_parquet(board.key(day))
        if rows is None:
            raise GameAnalyticsError(
                f"{lake.uri(board.key(day))} does not exist: no board of {day} was published. Materialize "
                f"{board.asset} for that day, or wait for the sensor to do so."
            )
        console.print(rich_table(board.table(rows), f"{board.title} of {day}"))


def show_player(console: Console, day: date, player_id: str) -> None:
    """Print the player's row with its neighbours in rank, by the `min_engagements` of the published board.

    Raises `GameAnalyticsError` if the player did not play that day or is not ranked.
    """
    settings = read_settings()
    lake = Lake.open(settings.lake)
    required = _min_engagements(lake, day, default=settings.min_engagements)
    with closing(connect()) as connection, open_stats(lake, connection, day):
        around = players_around(connection, player_id, required, NEIGHBOURS)
        counts = counts_of(connection, player_id)
    if counts is None:
        raise GameAnalyticsError(f"{player_id!r} has no kill and no death on {day}.")
    if around.is_empty():
        kills, deaths = counts
        raise GameAnalyticsError(
            f"{player_id!r} is not ranked on {day}: {kills:,} kills and {deaths:,} deaths are fewer than the "
            f"{required:,} engagements that this board requires."
        )
    own = around.filter(pl.col("player_id") == player_id)
    title = f"{day}: rank {own['rank'].item():,}"
    console.print(rich_table(TOP10.table(around), title, highlighted=player_id))


def _min_engagements(lake: Lake, day: date, *, default: int) -> int:
    """The setting that the published board was made with; ``default`` if there is no board."""
    if lake.etag(board_key(day)) is None:
        return default
    return int(lake.parquet_metadata(board_key(day)).get(MIN_ENGAGEMENTS, "0"))
