"""`top10_leaderboard`: the day's ten best players by kill/death ratio, by DuckDB."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import duckdb
import polars as pl
from dagster_duckdb import DuckDBResource
from pydantic import Field

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.days import DayReport, Results, materialize_days, readable_failures
from game_analytics.defs.metadata import board_table, column_schema
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Downloaded, Lake, to_parquet
from game_analytics.lake.claims import MIN_ENGAGEMENTS, RULE_VERSION_KEY, STATS_SHA256
from game_analytics.lake.names import board_key, stats_key
from game_analytics.rules.leaderboard import (
    BOARD,
    RULE,
    RULE_VERSION,
    BadStats,
    ensure_columns,
    ensure_rankable,
    ensure_valid,
    top_players,
)

COLUMNS = {
    "rank": "1 to 10, no ties",
    "player_id": "Who",
    "kills": "Kills of the day",
    "deaths": "Deaths of the day",
    "kd_ratio": "kills / max(deaths, 1)",
}

SOURCE_ETAG = "source_etag"
"""In a materialization's metadata: the ETag of the stats file that the board was made from. The sensor compares it."""


class RankingConfig(dg.Config):
    """What a single run may ask for."""

    min_engagements: int | None = Field(
        default=None, ge=0, description="Kills plus deaths that a player needs to be ranked; unset: the setting."
    )


@dg.asset(
    deps=[daily_player_stats],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="leaderboard",
    owners=["team:game-analytics"],
    kinds={"duckdb", "s3", "parquet"},
    tags={"domain": "game-analytics", "layer": "leaderboard"},
    metadata={
        "dagster/column_schema": column_schema(BOARD, COLUMNS),
        "grain": "one row per ranked player, at most ten, sorted by rank",
        "rebuild": "whole, from the day's stats file, whoever wrote it",
    },
    check_specs=[
        dg.AssetCheckSpec("somebody_is_ranked", asset="top10_leaderboard", description="The board is not empty."),
    ],
)
def top10_leaderboard(
    context: dg.AssetExecutionContext,
    config: RankingConfig,
    lake: LakeResource,
    duckdb: DuckDBResource,
    settings: PipelineSettings,
) -> Results:
    """The ten best players of the UTC day by kill/death ratio: `leaderboard/YYYY_MM_DD_top10.parquet`.

    A player who never died is ranked by kills; ties go to more kills, then fewer deaths, then the smaller `player_id`.
    """
    min_engagements = settings.min_engagements if config.min_engagements is None else config.min_engagements
    with readable_failures():
        opened = lake.open()
    with duckdb.get_connection() as connection:
        yield from materialize_days(context, lambda day: publish_board(opened, connection, day, min_engagements))


def publish_board(lake: Lake, connection: duckdb.DuckDBPyConnection, day: date, min_engagements: int) -> DayReport:
    """Rank the day's stats file and replace its board."""
    key = board_key(day)

    def build() -> tuple[bytes, tuple[pl.DataFrame, Downloaded, str]]:
        with stats_of(lake, connection, day) as stats:
            board = top_players(connection, min_engagements)
        ensure_valid(board)
        made_from = {
            STATS_SHA256: stats.sha256,
            RULE_VERSION_KEY: RULE_VERSION,
            MIN_ENGAGEMENTS: str(min_engagements),
        }
        body = to_parquet(board, made_from)
        return body, (board, stats, hashlib.sha256(body).hexdigest())

    (board, stats, sha256), etag = lake.replace(key, build)
    return DayReport(
        metadata={
            "dagster/row_count": board.height,
            "dagster/uri": lake.uri(key),
            "board": board_table(board),
            "rule": RULE,
            "rule_version": RULE_VERSION,
            "min_engagements": min_engagements,
            "lake": lake.place,
            "etag": etag,
            "sha256": sha256,
            SOURCE_ETAG: stats.etag,
            "source_sha256": stats.sha256,
        },
        findings={"somebody_is_ranked": None if board.height else "the board is empty"},
    )


@contextmanager
def stats_of(lake: Lake, connection: duckdb.DuckDBPyConnection, day: date) -> Iterator[Downloaded]:
    """The day's stats file as the view ``stats``, checked, and what it is called. Raises `BadStats` naming the key.

    All that is read comes from one answer of S3, as do ETag and hash: DuckDB itself asks several times, and a file that
    is replaced in between, even by what it was before, would be read in part.
    """
    key = stats_key(day)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "stats.parquet"
        downloaded = lake.download(key, file)
        if downloaded is None:
            raise GameAnalyticsError(
                f"{lake.uri(key)} does not exist. Materialize daily_player_stats for {day} first, or put the file "
                "there."
            )
        try:
            _lay_view(connection, str(file))
            yield downloaded
        except (BadStats, duckdb.Error) as error:
            raise _bad_stats(error, lake.uri(key), str(file)) from error


def _lay_view(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    file = {"path": path}
    described = "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))"
    ensure_columns(dict(connection.execute(described, file).fetchall()))
    connection.execute("SET VARIABLE stats_path = $path", file)
    connection.execute(
        "CREATE OR REPLACE TEMPORARY VIEW stats AS "
        "SELECT player_id, kills, deaths, file_row_number AS row FROM read_parquet(getvariable('stats_path'))"
    )
    ensure_rankable(connection)


def _bad_stats(error: Exception, uri: str, path: str) -> BadStats:
    """The fault of a stats file, with the file named."""
    stays = "Write the file anew; the board that stood before stays."
    if isinstance(error, BadStats):
        return BadStats(f"{uri}, {error}. {stays}")
    reason = str(error).splitlines()[0].replace(path, uri)
    return BadStats(f"{uri} can't be read as Parquet: {reason}. {stays}")
