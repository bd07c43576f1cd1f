"""Battle royale matches as events, the same for every process and every run: seed and hour decide."""
