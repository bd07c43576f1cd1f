"""Tests of `game_analytics.defs`."""
