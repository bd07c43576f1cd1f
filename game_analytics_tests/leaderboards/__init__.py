"""Tests of `game_analytics.leaderboards`."""
