"""A board as `top10_leaderboard` makes it, without Dagster around it; says what of that the check for a player twice
takes, by doing it once more."""

import time
from collections.abc import Callable
from datetime import date

import duckdb

from benchmarks.ground import DAY
from benchmarks.own_lake import lake_of
from benchmarks.rivals.job import Job, measured
from game_analytics.leaderboards.stats_file import open_stats
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.rules.leaderboard import ensure_each_once


def _prepare(job: Job) -> Callable[[], object]:
    lake, connection, day = lake_of(job), duckdb.connect(), date.fromisoformat(DAY)

    def work() -> dict[str, float]:
        publish_board(lake, connection, day, min_engagements=0)
        published = time.perf_counter()
        with open_stats(lake, connection, day):
            read = time.perf_counter()
            ensure_each_once(connection)
            check = time.perf_counter() - read
        return {"check": check, "after": time.perf_counter() - published}

    return work


if __name__ == "__main__":
    measured(_prepare)
