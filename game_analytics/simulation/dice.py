"""Chance that repeats itself: the same numbers for the same settings, purpose and hour, in every process and version.

Only `random.Random.random()` promises its stream for all versions of Python; everything here is drawn from it.
"""

from random import Random

import polars as pl

from game_analytics.simulation.schedule import Simulation


class Dice:
    """Uniform numbers in [0, 1) for one purpose, so that a purpose that draws more leaves the others as they were."""

    def __init__(self, simulation: Simulation, purpose: str, number: int) -> None:
        self._random = Random(f"{simulation.seed} {purpose} {number}")  # noqa: S311 - invented players, no secrets

    def one(self) -> float:
        """The next number."""
        return self._random.random()

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` up to but without ``high``."""
        return low + int(self.one() * (high - low))

    def many(self, count: int) -> pl.Series:
        """The next ``count`` numbers as a column."""
        draw = self._random.random
        return pl.Series([draw() for _ in range(count)], dtype=pl.Float64)

    def many_below(self, limit: int | pl.Series, count: int) -> pl.Series:
        """Whole numbers from 0 up to but without ``limit`` as a column."""
        return (self.many(count) * limit).cast(pl.Int32)
