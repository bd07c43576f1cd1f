"""The commands of `game-analytics`, one file each, and what they share."""
