"""The committed landings that a landing takes into account: its own day's, its neighbours', and the finders'."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import Landings
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import manifest_key
from game_analytics.rules.days import ONE_DAY
from game_analytics.rules.log_identity import LogIdentity


@dataclass(frozen=True)
class Neighbours:
    """Committed landings by their manifests; None where there is none."""

    committed: Manifest | None = None
    """Of the day itself."""
    previous: Manifest | None = None
    """Of the day before."""
    following: Manifest | None = None
    """Of the day after."""
    finders: tuple[Manifest, ...] = ()
    """Of other days, whose landings found events of this one."""

    def of_log(self, log: LogIdentity) -> "Neighbours":
        """Those whose offsets are of this log; of the days around only landings with a closed window."""
        return Neighbours(
            committed=_of_log(self.committed, log),
            previous=_closed(_of_log(self.previous, log)),
            following=_closed(_of_log(self.following, log)),
            finders=tuple(finder for finder in self.finders if finder.log.is_same_as(log)),
        )

    @property
    def read_as_well(self) -> tuple[Manifest, ...]:
        """The landings whose offsets are read besides the day's own."""
        return self.finders if self.committed is None else (self.committed, *self.finders)

    def previous_that_found(self, day: date) -> Iterator[Manifest]:
        """The landing of the day before, if it has found events of ``day``."""
        if self.previous is not None and self.previous.missed.get(day.isoformat()):
            yield self.previous

    def ensure_finders_read(self, log: LogIdentity, lake: Lake) -> None:
        """Raises `GameAnalyticsError` if a finder was landed from another log than this one."""
        for finder in self.finders:
            if not finder.log.is_same_as(log):
                raise GameAnalyticsError(
                    f"`up_to_landing_of` names {finder.day}, but {lake.uri(manifest_key(finder.day))} was landed from "
                    f"{finder.log}, and this log is {log}. Name another day."
                )


def read_neighbours(landings: Landings, lake: Lake, day: date, found_by: tuple[date, ...]) -> Neighbours:
    """The neighbours of ``day`` in the lake. Raises `GameAnalyticsError` if a day of ``found_by`` was never landed."""
    finders = []
    for finder in found_by:
        manifest = landings.manifest_of(finder)
        if finder == day or manifest is None:
            raise GameAnalyticsError(
                f"`up_to_landing_of` names {finder}, but {lake.uri(manifest_key(finder))} is no landing of another day "
                f"than {day}. Land that day first, or name another."
            )
        finders.append(manifest)
    return Neighbours(
        committed=landings.manifest_of(day),
        previous=landings.manifest_of(day - ONE_DAY),
        following=landings.manifest_of(day + ONE_DAY),
        finders=tuple(finders),
    )


def _of_log(manifest: Manifest | None, log: LogIdentity) -> Manifest | None:
    return manifest if manifest is not None and manifest.log.is_same_as(log) else None


def _closed(manifest: Manifest | None) -> Manifest | None:
    return manifest if manifest is not None and manifest.window_closed else None
