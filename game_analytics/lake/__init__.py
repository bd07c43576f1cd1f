"""The lake: objects, their names, and the receipt of each day. No rule of the game."""
