"""A run of offsets of one partition, and what can be asked of it."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Offsets:
    """From ``first`` up to but without ``end``."""

    first: int
    end: int

    def spanning(self, other: "Offsets") -> "Offsets":
        """Both, and what lies between them; an empty one adds nothing."""
        if other.first >= other.end:
            return self
        if self.first >= self.end:
            return other
        return Offsets(min(self.first, other.first), max(self.end, other.end))

    def within(self, low: int, high: int) -> "Offsets":
        """The part of it between two watermarks."""
        end = min(self.end, high)
        return Offsets(min(max(self.first, low), end), end)

    def ordered(self) -> "Offsets":
        """Itself, or nothing at its end where it would end before it begins."""
        return self if self.first <= self.end else Offsets(self.end, self.end)

    def hold(self, offsets: pl.Series) -> pl.Series:
        """Of each offset whether it is one of these."""
        return (offsets >= self.first) & (offsets < self.end)

    def hold_all(self, first: int, end: int) -> bool:
        """Whether all offsets from ``first`` up to but without ``end`` are among these."""
        return first >= end or (self.first <= first and end <= self.end)


NOTHING = Offsets(0, 0)
EVERYTHING = Offsets(0, 2**63 - 1)
