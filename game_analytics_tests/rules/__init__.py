"""Tests of `game_analytics.rules`: pure functions against tables written by hand and reference implementations."""
