"""Bytes, keys, connections and credentials; no rule of the game."""
