"""Stats per player as `daily_player_stats` makes them, without Dagster around it."""

from collections.abc import Callable
from datetime import date

from benchmarks.ground import DAY
from benchmarks.own_lake import lake_of
from benchmarks.rivals.job import Job, measured
from game_analytics.leaderboards.player_stats import publish_stats


def _prepare(job: Job) -> Callable[[], object]:
    lake = lake_of(job)

    def work() -> object:
        return publish_stats(lake, date.fromisoformat(DAY)).etag

    return work


if __name__ == "__main__":
    measured(_prepare)
