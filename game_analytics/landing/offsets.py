"""A range of offsets of one partition."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Offsets:
    """The offsets from ``first`` up to but without ``end``."""

    first: int
    end: int

    def spanning(self, other: "Offsets") -> "Offsets":
        """The smallest range that covers both; an empty one adds nothing."""
        if other.first >= other.end:
            return self
        if self.first >= self.end:
            return other
        return Offsets(min(self.first, other.first), max(self.end, other.end))

    def clipped(self, low: int, high: int) -> "Offsets":
        """The part between two watermarks."""
        end = min(self.end, high)
        return Offsets(min(max(self.first, low), end), end)

    def ordered(self) -> "Offsets":
        """This range; where it would end before it starts, the empty range at its end."""
        return self if self.first <= self.end else Offsets(self.end, self.end)

    def contains(self, offsets: pl.Series) -> pl.Series:
        """For each offset (Int64) whether the range contains it (Boolean)."""
        return (offsets >= self.first) & (offsets < self.end)

    def covers(self, first: int, end: int) -> bool:
        """Whether the range contains all offsets from ``first`` up to but without ``end``."""
        return first >= end or (self.first <= first and end <= self.end)


NOTHING = Offsets(0, 0)
EVERYTHING = Offsets(0, 2**63 - 1)
