"""Tests of the rules of the game: pure functions against tables written by hand and oracles in plain Python."""
