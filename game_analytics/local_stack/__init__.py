"""The servers that `game-analytics demo` and `game-analytics dev` start on this machine."""
