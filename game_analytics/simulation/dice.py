"""Reproducible random numbers: the same for the same seed, purpose and hour, in every process and Python version.

Python promises a stable sequence only for `random.Random.random()`, so everything here is drawn from it.
"""

from random import Random

import polars as pl

from game_analytics.simulation.schedule import Simulation


class Dice:
    """Uniform numbers in [0, 1), a sequence for each purpose: drawing more for one does not change the others."""

    def __init__(self, simulation: Simulation, purpose: str, number: int) -> None:
        self._random = Random(f"{simulation.seed} {purpose} {number}")  # noqa: S311 - no secrets

    def one(self) -> float:
        """The next number."""
        return self._random.random()

    def between(self, low: int, high: int) -> int:
        """A whole number in [``low``, ``high``)."""
        return low + int(self.one() * (high - low))

    def many(self, count: int) -> pl.Series:
        """The next ``count`` numbers as a column of Float64."""
        draw = self._random.random
        return pl.Series([draw() for _ in range(count)], dtype=pl.Float64)

    def many_below(self, limit: int | pl.Series, count: int) -> pl.Series:
        """``count`` whole numbers in [0, ``limit``) as a column of Int32; ``limit`` may be one number per row."""
        return (self.many(count) * limit).cast(pl.Int32)
