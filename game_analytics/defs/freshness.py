"""The check `freshness` of each board: whether a day's board is published, up to date and made from a closed window.

Its schedule evaluates it for the newest day that is due by then. Dagster's freshness policies would not do: they apply
to assets, not partitions, so rebuilding the board of an old day today would satisfy them.
"""

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from game_analytics.defs.days import readable_failures
from game_analytics.defs.outstanding.in_progress import PARTITION, RANGE_END
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.claims import board_claim, stats_claim
from game_analytics.lake.committed import read_landing
from game_analytics.lake.names import manifest_key, stats_key
from game_analytics.lake.stats_files import current_version, exists
from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.boards import BOARDS

FRESHNESS = "freshness"


class FreshnessConfig(dg.Config):
    """Run config of the check."""

    day: str | None = Field(
        default=None, description="The board's day, as 2025-12-30. Unset: the run's last day, else the newest one."
    )


def freshness_check(board: Board) -> dg.AssetChecksDefinition:
    """The check of one board."""

    @dg.asset_check(
        asset=board.asset,
        name=FRESHNESS,
        description="The day's board is published, up to date, and made from a closed window. Evaluated at 03:00 UTC "
        "for the newest day that is due, and when a board is materialized by hand.",
    )
    def freshness(
        context: dg.AssetCheckExecutionContext, config: FreshnessConfig, lake: LakeResource
    ) -> dg.AssetCheckResult:
        with readable_failures():
            day = date.fromisoformat(config.day or _last_day(context.run))
            fault = freshness_fault(lake.open(), board, day)
        finding = fault or f"the board of {day} is published, from a closed window"
        return dg.AssetCheckResult(passed=fault is None, description=f"{day}: {finding}")

    return freshness


def _last_day(run: dg.DagsterRun) -> str:
    day = run.tags.get(PARTITION) or run.tags.get(RANGE_END) or daily.get_last_partition_key()
    if day is None:
        raise GameAnalyticsError("No day is a partition yet, so no board can be checked.")
    return day


freshness_checks = [freshness_check(board) for board in BOARDS]

freshness_job = dg.define_asset_job(
    "freshness_job",
    selection=dg.AssetSelection.checks(*freshness_checks),
    description="Check whether a day's boards are published and made from a closed window.",
)


def freshness_config(day: str) -> dict[str, Any]:
    """The run config of `freshness_job` for a day."""
    return {"ops": {check.op.name: {"config": {"day": day}} for check in freshness_checks}}


def freshness_fault(lake: Lake, board: Board, day: date) -> str | None:
    """What is wrong with the day's board, or None.

    The board must be made from the current stats file. That must be made from the current landing, of a closed window,
    unless another program wrote it.

    Raises `Unavailable` if S3 does not answer.
    """
    try:
        _ensure_board_current(lake, board, day)
        _ensure_stats_current(lake, day)
    except Unavailable:
        raise
    except GameAnalyticsError as error:
        return str(error)
    return None


def _ensure_board_current(lake: Lake, board: Board, day: date) -> None:
    """Raises `GameAnalyticsError` unless the day's board is published and made from the current stats file."""
    key, stats = board.key(day), lake.uri(stats_key(day))
    if lake.etag(key) is None:
        missing = lake.uri(key) if exists(lake, day) else stats
        raise GameAnalyticsError(
            f"The board of {day} is not published: {missing} does not exist. Look at the last runs of that day, then "
            "materialize what is missing."
        )
    claim, current = board_claim(lake.parquet_metadata(key)), current_version(lake, day)
    if claim is None or current is None or not claim.is_of(current.etag, current.sha256):
        raise GameAnalyticsError(
            f"{lake.uri(key)} is not made from the current stats file, {stats}. Look at the last runs of "
            f"{board.asset} for {day}, and whether the sensor new_stats_file is on."
        )


def _ensure_stats_current(lake: Lake, day: date) -> None:
    """Raises `GameAnalyticsError` unless the day's stats are made from the current landing, of a closed window, or by
    another program."""
    stats = lake.uri(stats_key(day))
    claim = stats_claim(lake.parquet_metadata(stats_key(day)))
    if claim is None:
        return
    landing = read_landing(lake, day)
    if landing is None or not claim.is_of(landing.etag, landing.sha256):
        raise GameAnalyticsError(
            f"{stats} is not made from the current landing, {lake.uri(manifest_key(day))}. Look at the last runs of "
            f"daily_player_stats for {day}, and whether the sensor new_landing is on."
        )
    if not landing.manifest.window_closed:
        closes = f"{landing.manifest.window.end:%Y-%m-%d %H:%M} UTC"
        raise GameAnalyticsError(
            f"{stats} is made from a landing before its window closed ({closes}). "
            f"Materialize raw_events and daily_player_stats for {day} again."
        )
