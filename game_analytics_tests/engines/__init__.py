"""Tests of `game_analytics.engines`."""
