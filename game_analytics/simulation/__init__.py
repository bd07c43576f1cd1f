"""Simulated battle royale matches as events. Seed and hour determine them, so every process generates the same ones."""
