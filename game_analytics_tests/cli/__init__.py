"""Tests of `game_analytics.cli`."""
