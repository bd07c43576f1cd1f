"""One command each of `game-analytics`, and what they share in a terminal."""
