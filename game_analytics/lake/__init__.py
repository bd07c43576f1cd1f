"""The lake: objects, their names, and the manifest of each day. No rule of the game."""
