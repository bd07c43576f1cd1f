"""The rules of the game: pure functions, with no Dagster, no I/O and no clock."""
