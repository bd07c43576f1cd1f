"""The work of our assets without Dagster, as measured programs: ``python -m benchmarks.own stats`` and ``board``, run
by `jobs.run_ours`."""

import sys
import time
from collections.abc import Callable
from datetime import date

import duckdb

from benchmarks.bench import lake_at
from benchmarks.rivals.job import Job, measured
from benchmarks.servers import DAY
from game_analytics.lake.bucket import Lake
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.stats_file import open_stats
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.rules.leaderboard import ensure_each_once


def _stats(job: Job) -> Callable[[], object]:
    lake, day = _lake_of(job), date.fromisoformat(DAY)
    return lambda: publish_stats(lake, day).etag


def _board(job: Job) -> Callable[[], object]:
    """Also measures the check for duplicate players, by repeating it."""
    lake, connection, day = _lake_of(job), duckdb.connect(), date.fromisoformat(DAY)

    def work() -> dict[str, float]:
        publish_board(lake, connection, day, min_engagements=0)
        published = time.perf_counter()
        with open_stats(lake, connection, day):
            read = time.perf_counter()
            ensure_each_once(connection)
            check = time.perf_counter() - read
        return {"check": check, "after": time.perf_counter() - published}

    return work


def _lake_of(job: Job) -> Lake:
    return lake_at(S3Endpoint(job.endpoint_url, job.access_key_id, job.secret_access_key, job.region), job.bucket)


if __name__ == "__main__":
    measured({"stats": _stats, "board": _board}[sys.argv[1]])
