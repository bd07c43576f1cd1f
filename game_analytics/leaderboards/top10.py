"""The day's ten best players by kill/death ratio, ranked from its stats file and published."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import duckdb
import polars as pl

from game_analytics.lake.bucket import Downloaded, Lake, to_parquet
from game_analytics.lake.claims import MIN_ENGAGEMENTS, RULE_VERSION_KEY, STATS_SHA256
from game_analytics.leaderboards.board import Board
from game_analytics.leaderboards.stats_file import open_stats, utc_now
from game_analytics.rules.leaderboard import BOARD, RULE, RULE_VERSION, ensure_valid, top_players

TOP10 = Board(
    name="top10",
    asset="top10_leaderboard",
    title="Top ten",
    schema=BOARD,
    descriptions={
        "rank": "1 to 10, no ties",
        "player_id": "The player",
        "kills": "Kills of the day",
        "deaths": "Deaths of the day",
        "kd_ratio": "kills / max(deaths, 1)",
    },
    rule=RULE,
    rule_version=RULE_VERSION,
)


@dataclass(frozen=True)
class PublishedBoard:
    """A board that was written: rows, the stats file it was made from, ETag, and SHA-256 (hex)."""

    rows: pl.DataFrame
    stats: Downloaded
    etag: str
    sha256: str


def publish_board(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    day: date,
    min_engagements: int,
    clock: Callable[[], datetime] = utc_now,
) -> PublishedBoard:
    """Rank the players of the day's stats file with at least ``min_engagements`` kills plus deaths, and replace the
    board.

    Raises `GameAnalyticsError` if there is no stats file, `BadStats` if it can't be ranked, and what `Lake.replace`
    raises.
    """

    def build() -> tuple[bytes, tuple[pl.DataFrame, Downloaded, str]]:
        with open_stats(lake, connection, day, clock) as stats:
            rows = top_players(connection, min_engagements)
        ensure_valid(rows)
        made_from = {
            STATS_SHA256: stats.sha256,
            RULE_VERSION_KEY: TOP10.rule_version,
            MIN_ENGAGEMENTS: str(min_engagements),
        }
        body = to_parquet(rows, made_from)
        return body, (rows, stats, hashlib.sha256(body).hexdigest())

    (rows, stats, sha256), etag = lake.replace(TOP10.key(day), build)
    return PublishedBoard(rows, stats, etag, sha256)
