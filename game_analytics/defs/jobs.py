"""The jobs: landing and counting a day, counting alone, ranking. The sensors request the last two."""

import dagster as dg

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.freshness import freshness_checks
from game_analytics.leaderboards.boards import BOARDS

daily_stats_job = dg.define_asset_job(
    "daily_stats_job",
    selection=[raw_events, daily_player_stats],
    description="Land a day's events and count them per player.",
)

stats_job = dg.define_asset_job(
    "stats_job",
    selection=[daily_player_stats],
    description="Count a day's landed events per player.",
)

leaderboard_job = dg.define_asset_job(
    "leaderboard_job",
    # Without the freshness checks, which have a schedule of their own.
    selection=dg.AssetSelection.assets(*(board.asset for board in BOARDS))
    - dg.AssetSelection.checks(*freshness_checks),
    description="Publish the boards of a day from its stats file.",
)
