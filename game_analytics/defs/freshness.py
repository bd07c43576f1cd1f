"""The job that looks whether a day's board is there as it should be.

Dagster's freshness policies know assets, not days: any old day's board, made today, would do for them.
"""

from datetime import date

import dagster as dg
from pydantic import Field

from game_analytics.defs.days import readable_failures
from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import board_claim, stats_claim
from game_analytics.lake.names import manifest_key, stats_key
from game_analytics.lake.standing import read_standing
from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.boards import BOARDS


class FreshnessConfig(dg.Config):
    """Which board is looked at."""

    day: str = Field(description="The day of the board, as 2025-12-30.")


@dg.op(description="Fails unless the day's board is published, up to date, and made from a closed window.")
def leaderboard_is_fresh(context: dg.OpExecutionContext, config: FreshnessConfig, lake: LakeResource) -> None:
    """Fail, naming the day and what to do, unless its board is there as it should be."""
    with readable_failures():
        ensure_fresh(lake.open(), date.fromisoformat(config.day))
    context.log.info(f"The board of {config.day} is published, from a closed window.")


@dg.job(description="Look whether a day's board is published and made from a closed window; fail if it is not.")
def freshness_job() -> None:
    """One op: a run that fails is seen, and told by the alerts as any other."""
    leaderboard_is_fresh()


def ensure_fresh(lake: Lake, day: date) -> None:
    """Raises `GameAnalyticsError` unless the day's boards are there, made from the stats file that lies there, and that
    from the standing landing of a closed window, if this pipeline made it: stats from elsewhere are taken as they are.
    """
    for board in BOARDS:
        _ensure_made(lake, board, day)
    _ensure_counted(lake, day)


def _ensure_made(lake: Lake, board: Board, day: date) -> None:
    """Raises `GameAnalyticsError` unless the day's board is there and made from the stats file that lies there."""
    key, stats = board.key(day), lake.uri(stats_key(day))
    if lake.etag(key) is None:
        missing = stats if lake.etag(stats_key(day)) is None else lake.uri(key)
        raise GameAnalyticsError(
            f"The board of {day} is not published: {missing} does not exist. Look at the last runs of that day, then "
            "materialize what is missing."
        )
    claim, stands = board_claim(lake.parquet_metadata(key)), lake.digest(stats_key(day))
    if claim is None or stands is None or not claim.is_of(stands.etag, stands.sha256):
        raise GameAnalyticsError(
            f"{lake.uri(key)} is not made from the stats file that lies there now, {stats}. Look at the last runs of "
            f"{board.asset} for {day}, and whether the sensor new_stats_file is on."
        )


def _ensure_counted(lake: Lake, day: date) -> None:
    """Raises `GameAnalyticsError` unless the day's stats are made from the standing landing of a closed window, or by
    another program."""
    stats = lake.uri(stats_key(day))
    counted = stats_claim(lake.parquet_metadata(stats_key(day)))
    if counted is None:
        return
    found = read_standing(lake, day)
    if found is None or not counted.is_of(found.etag, found.sha256):
        raise GameAnalyticsError(
            f"{stats} is not made from the landing that stands now, {lake.uri(manifest_key(day))}. Look at the last "
            f"runs of daily_player_stats for {day}, and whether the sensor new_landing is on."
        )
    if not found.manifest.window_closed:
        closes = f"{found.manifest.window.end:%Y-%m-%d %H:%M} UTC"
        raise GameAnalyticsError(
            f"{stats} is made from a landing before its window closed ({closes}). "
            f"Materialize raw_events and daily_player_stats for {day} again."
        )
