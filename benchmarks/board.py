"""A board from the stats of very many players in S3, beside reading the three columns alone with DuckDB.

The check for a player twice is apart, as was asked: what it takes is measured and taken off. A file of our own is
sorted, which proves it at little cost; for one of somebody else's, in any order, each name has to be compared with all.
"""

from datetime import date

import msgspec
import polars as pl

from benchmarks.ground import Ground
from benchmarks.jobs import job_for, run_ours, run_rival
from benchmarks.rows import Row, at_most_times
from benchmarks.servers import DAY
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import to_parquet
from game_analytics.lake.names import board_key, stats_key
from game_analytics.rules.leaderboard import BOARD_SIZE

_PLAYERS = 20_000_000
_LIMIT = 1.3


class Apart(msgspec.Struct):
    """Seconds that are not the board's, of those that `own` measured for the board."""

    check: float
    """For a player twice."""
    after: float
    """All that came once the board was published, to measure the check again."""


def measure(ground: Ground) -> list[Row]:
    """A row for a file of our own, and one for a file of somebody else's."""
    players = ground.scaled(_PLAYERS, at_least=10_000)
    stats = _stats(players)
    return [
        _row(ground, f"board from {players:,} players in S3, our own file", stats),
        _row(ground, "the same players in a file of somebody else's", stats.sample(fraction=1, shuffle=True, seed=7)),
    ]


def _stats(players: int) -> pl.DataFrame:
    number = pl.int_range(players)
    return pl.select(
        player_id=pl.concat_str(pl.lit("p"), number.cast(pl.String).str.zfill(9)),
        kills=(number.hash(1) % 40).cast(pl.Int64),
        deaths=(number.hash(2) % 40).cast(pl.Int64),
    )


def _best(stats: pl.DataFrame) -> list[str]:
    """The ten by the rule, found another way."""
    rated = stats.with_columns(kd_ratio=pl.col("kills") / pl.max_horizontal("deaths", 1))
    # Those who have the tenth best ratio or a better one, however many, and of them the ten.
    close = rated.filter(pl.col("kd_ratio") >= pl.col("kd_ratio").top_k(BOARD_SIZE).min())
    by_rule = close.sort(["kd_ratio", "kills", "deaths", "player_id"], descending=[True, True, False, False])
    return by_rule.head(BOARD_SIZE)["player_id"].to_list()


def _row(ground: Ground, what: str, stats: pl.DataFrame) -> Row:
    bucket, day = ground.new_bucket(), date.fromisoformat(DAY)
    lake = ground.lake(bucket)
    lake.put(stats_key(day), to_parquet(stats))
    sums, best = [int(stats["kills"].sum()), int(stats["deaths"].sum())], _best(stats)
    ours, bare = list[float](), list[float]()
    for run in range(1, ground.runs + 1):
        made = run_ours(ground, "board", job_for(ground, bucket, [], board_key(day)))
        board = lake.read_parquet(board_key(day))
        if board is None or board["player_id"].to_list() != best:
            raise GameAnalyticsError(f"The board in {bucket} is {board}, and the best are {best}.")
        apart = msgspec.convert(made.said, Apart)
        ours.append(made.seconds - apart.after - apart.check)
        read = run_rival(ground, "board_duckdb.py", job_for(ground, bucket, [stats_key(day)], "none"))
        if read.said != sums:
            raise GameAnalyticsError(f"DuckDB has read {read.said}, and {sums} was written.")
        bare.append(read.seconds)
        ground.tell(
            f"{what}, run {run}: {ours[-1]:.2f} s, the check {apart.check:.2f} s more, {made.peak_mib:,.0f} MiB; "
            f"reading {bare[-1]:.2f} s"
        )
    return at_most_times(what, "s", ours, {"DuckDB reading it": bare}, _LIMIT)
