"""A board from the stats of very many players in S3, compared with only reading the three columns with DuckDB.

The time of the check for duplicate players is measured and subtracted, as the goal says. In a file of our own, which is
sorted, the check takes little; in a file by another program, in any order, each player is compared with all others.
"""

from datetime import date

import msgspec
import polars as pl

from benchmarks.bench import Bench
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
    """Seconds to subtract from those that `own` measured for the board."""

    check: float
    """The check for duplicate players."""
    after: float
    """Everything after the board was published, in which the check is repeated to measure it."""


def measure(bench: Bench) -> list[Row]:
    """A row for a file of our own, and one for a file by another program."""
    players = bench.scaled(_PLAYERS, at_least=10_000)
    stats = _stats(players)
    return [
        _row(bench, f"board from {players:,} players in S3, our own file", stats),
        _row(bench, "the same players in a file by another program", stats.sample(fraction=1, shuffle=True, seed=7)),
    ]


def _stats(players: int) -> pl.DataFrame:
    number = pl.int_range(players)
    return pl.select(
        player_id=pl.concat_str(pl.lit("p"), number.cast(pl.String).str.zfill(9)),
        kills=(number.hash(1) % 40).cast(pl.Int64),
        deaths=(number.hash(2) % 40).cast(pl.Int64),
    )


def _best(stats: pl.DataFrame) -> list[str]:
    """The ten best by the rule, computed in another way."""
    rated = stats.with_columns(kd_ratio=pl.col("kills") / pl.max_horizontal("deaths", 1))
    # All players with at least the tenth best ratio, and the first ten of them.
    close = rated.filter(pl.col("kd_ratio") >= pl.col("kd_ratio").top_k(BOARD_SIZE).min())
    by_rule = close.sort(["kd_ratio", "kills", "deaths", "player_id"], descending=[True, True, False, False])
    return by_rule.head(BOARD_SIZE)["player_id"].to_list()


def _row(bench: Bench, what: str, stats: pl.DataFrame) -> Row:
    bucket, day = bench.new_bucket(), date.fromisoformat(DAY)
    lake = bench.lake(bucket)
    lake.put(stats_key(day), to_parquet(stats))
    sums, best = [int(stats["kills"].sum()), int(stats["deaths"].sum())], _best(stats)
    ours, bare = list[float](), list[float]()
    for run in range(1, bench.runs + 1):
        result = run_ours(bench, "board", job_for(bench, bucket, [], board_key(day)))
        board = lake.read_parquet(board_key(day))
        if board is None or board["player_id"].to_list() != best:
            raise GameAnalyticsError(f"The board in {bucket} is {board}, but the best are {best}.")
        apart = msgspec.convert(result.output, Apart)
        ours.append(result.seconds - apart.after - apart.check)
        read = run_rival(bench, "board_duckdb.py", job_for(bench, bucket, [stats_key(day)], "none"))
        if read.output != sums:
            raise GameAnalyticsError(f"DuckDB has read {read.output}, but {sums} was written.")
        bare.append(read.seconds)
        bench.report(
            f"{what}, run {run}: {ours[-1]:.2f} s, the check {apart.check:.2f} s more, {result.peak_mib:,.0f} MiB; "
            f"reading {bare[-1]:.2f} s"
        )
    return at_most_times(what, "s", ours, {"DuckDB reading it": bare}, _LIMIT)
