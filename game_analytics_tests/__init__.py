"""Tests of game_analytics; folders mirror the package."""
