"""The landings that stand: a day's manifest as it lies in the lake, at today's key or at the one of before."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import manifest_key, old_manifest_key
from game_analytics.rules.days import FIRST_DAY
from game_analytics.rules.log_identity import LogIdentity


@dataclass(frozen=True)
class Standing:
    """A committed landing. ``sha256`` (hex, of the manifest's bytes) names it wherever it is copied to; ``etag`` is
    what S3 calls this copy of it."""

    manifest: Manifest
    sha256: str
    key: str
    etag: str


def read_standing(lake: Lake, day: date) -> Standing | None:
    """The day's standing landing; None if the day was never landed.

    Raises `GameAnalyticsError` if what stands there is no manifest.
    """
    for key in (manifest_key(day), old_manifest_key(day)):
        stored = lake.get(key)
        if stored is not None:
            manifest = Manifest.from_json(stored.body, lake.uri(key))
            return Standing(manifest, hashlib.sha256(stored.body).hexdigest(), key, stored.etag)
    return None


def still_stands(lake: Lake, landing: Standing) -> bool:
    """Whether this landing is still the day's: a day that is landed again at the key of today has it no more."""
    if landing.key != manifest_key(landing.manifest.day) and lake.etag(manifest_key(landing.manifest.day)) is not None:
        return False
    return lake.etag(landing.key) == landing.etag


class Landings:
    """The standing landings of all days as the landing of one day sees them: each is read once, when it is first asked
    for. Another day's that can't be read counts as none: it must not stop this day's, and is told in ``unreadable``.
    """

    def __init__(self, lake: Lake, day: date) -> None:
        self._lake = lake
        self._day = day
        self._read: dict[date, Standing | None] = {}
        self.unreadable: dict[date, str] = {}
        """What is wrong with manifests of other days."""

    def of(self, day: date) -> Standing | None:
        """The day's landing, whatever log it was read from. None for a day before the first partition.

        Raises `GameAnalyticsError` if the landed day's own manifest can't be read.
        """
        if day not in self._read:
            self._read[day] = self._standing(day) if day >= FIRST_DAY else None
        return self._read[day]

    def _standing(self, day: date) -> Standing | None:
        try:
            return read_standing(self._lake, day)
        except Unavailable:
            raise
        except GameAnalyticsError as error:
            if day == self._day:
                raise
            self.unreadable[day] = str(error)
            return None

    def manifest_of(self, day: date) -> Manifest | None:
        landing = self.of(day)
        return None if landing is None else landing.manifest

    def closed_of(self, day: date, log: LogIdentity) -> Manifest | None:
        """The day's manifest if it was read from this log and saw its whole window."""
        manifest = self.manifest_of(day)
        return manifest if manifest is not None and manifest.window_closed and manifest.log.is_same_as(log) else None

    def refresh(self, days: Iterable[date]) -> bool:
        """Read those of these days again that were committed since. Returns whether there was one."""
        stale = [day for day in days if day >= FIRST_DAY and self._is_stale(day)]
        for day in stale:
            del self._read[day]
        return bool(stale)

    def _is_stale(self, day: date) -> bool:
        landing = self.of(day)
        if day in self.unreadable:
            return False
        if landing is None:
            return self._lake.etag(manifest_key(day)) is not None
        return not still_stands(self._lake, landing)
