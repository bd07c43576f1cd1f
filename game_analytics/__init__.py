"""Daily kill/death leaderboards of a battle royale game, as a Dagster asset graph. Importing this does nothing."""
