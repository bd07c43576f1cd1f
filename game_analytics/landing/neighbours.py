"""The standing landings that a landing takes into account: its own day's, its neighbours', and those of finders."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from game_analytics.lake.manifest import Manifest
from game_analytics.rules.log_identity import LogIdentity


@dataclass(frozen=True)
class Neighbours:
    """Standing landings; None where there is none."""

    standing: Manifest | None = None
    """Of the day itself."""
    previous: Manifest | None = None
    """Of the day before."""
    following: Manifest | None = None
    """Of the day after."""
    finders: tuple[Manifest, ...] = ()
    """Of other days, which have found events of this one."""

    def of_log(self, log: LogIdentity) -> "Neighbours":
        """Those whose offsets are of this log; of the days around only where the landing saw its whole window."""
        return Neighbours(
            standing=_of_log(self.standing, log),
            previous=_closed(_of_log(self.previous, log)),
            following=_closed(_of_log(self.following, log)),
            finders=tuple(finder for finder in self.finders if finder.log.is_same_as(log)),
        )

    @property
    def read_as_well(self) -> tuple[Manifest, ...]:
        """The landings whose offsets are read besides the day's own."""
        return self.finders if self.standing is None else (self.standing, *self.finders)

    def previous_that_found(self, day: date) -> Iterator[Manifest]:
        """The landing of the day before, if it has found events of ``day``."""
        if self.previous is not None and self.previous.missed.get(day.isoformat()):
            yield self.previous


def _of_log(manifest: Manifest | None, log: LogIdentity) -> Manifest | None:
    return manifest if manifest is not None and manifest.log.is_same_as(log) else None


def _closed(manifest: Manifest | None) -> Manifest | None:
    return manifest if manifest is not None and manifest.window_closed else None
