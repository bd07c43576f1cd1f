"""Lands, counts and ranks days one after the other without Dagster: nothing is recorded, shown or checked.

``python -m benchmarks.days_by_hand FIRST COUNT``, in the environment of a user. The day before the first is processed
too, as a warm-up that is not timed. Prints the seconds of each day as JSON.
"""

import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import msgspec

from game_analytics.defs.resources import event_log_resource, lake_resource
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.stats_file import connect
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.settings import read_settings


def main() -> None:
    """Process the days, with the same connections for all."""
    first, count = date.fromisoformat(sys.argv[1]), int(sys.argv[2])
    settings = read_settings()
    log, lake = event_log_resource(settings).open(), lake_resource(settings).open()
    options = LandingOptions(lateness=timedelta(hours=1))
    seconds: list[float] = []
    with closing(connect()) as connection:
        for day in (first + timedelta(days=number) for number in range(-1, count)):
            started = time.perf_counter()
            land_day(log, lake, day, options, clock=lambda: datetime.now(UTC))
            publish_stats(lake, day)
            publish_board(lake, connection, day, min_engagements=0)
            seconds.append(time.perf_counter() - started)
    sys.stdout.buffer.write(msgspec.json.encode(seconds[1:]))


if __name__ == "__main__":
    main()
