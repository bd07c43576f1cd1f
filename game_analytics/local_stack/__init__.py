"""The servers that `game-analytics demo`, `dev` and `stack` start on this machine."""
