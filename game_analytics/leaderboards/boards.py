"""All boards. The sensor, the freshness check and `show` go through this list."""

from game_analytics.leaderboards.top10 import TOP10

BOARDS = (TOP10,)
