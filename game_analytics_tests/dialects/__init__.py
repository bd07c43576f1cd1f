"""What other programs write by default, as data, and what becomes of it."""
