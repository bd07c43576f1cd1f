"""Committed landings: a day's manifest in the lake, at its key or at the key of earlier versions."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import manifest_key, old_manifest_key
from game_analytics.rules.days import FIRST_DAY
from game_analytics.rules.log_identity import LogIdentity


@dataclass(frozen=True)
class CommittedLanding:
    """A day's manifest. ``sha256`` (hex, of its bytes) identifies the landing wherever it is copied to; ``etag`` is of
    this object in S3."""

    manifest: Manifest
    sha256: str
    key: str
    etag: str


def read_landing(lake: Lake, day: date) -> CommittedLanding | None:
    """The committed landing of ``day``; None if it was never landed.

    Raises `GameAnalyticsError` if the object at its key is no manifest.
    """
    for key in (manifest_key(day), old_manifest_key(day)):
        stored = lake.get(key)
        if stored is not None:
            manifest = Manifest.from_json(stored.body, lake.uri(key))
            return CommittedLanding(manifest, hashlib.sha256(stored.body).hexdigest(), key, stored.etag)
    return None


def read_landing_or_warn(lake: Lake, day: date, warn: Callable[[str], None]) -> CommittedLanding | None:
    """As `read_landing`, but a manifest that can't be read is a warning and counts as none. Raises `Unavailable`."""
    try:
        return read_landing(lake, day)
    except Unavailable:
        raise
    except GameAnalyticsError as error:
        warn(str(error))
        return None


def is_current(lake: Lake, landing: CommittedLanding) -> bool:
    """Whether this is still the committed landing of its day. A manifest at the old key is replaced by any at the
    new."""
    key = manifest_key(landing.manifest.day)
    if landing.key != key and lake.etag(key) is not None:
        return False
    return lake.etag(landing.key) == landing.etag


class Landings:
    """The committed landings of all days, as the landing of ``day`` sees them: each is read once, on first use.

    Another day's manifest that can't be read counts as none, so that it does not stop this day; ``unreadable`` has it.
    """

    def __init__(self, lake: Lake, day: date) -> None:
        self._lake = lake
        self._day = day
        self._read: dict[date, CommittedLanding | None] = {}
        self.unreadable: dict[date, str] = {}
        """What is wrong with manifests of other days."""

    def of(self, day: date) -> CommittedLanding | None:
        """The day's committed landing, of any log. None for a day before the first partition.

        Raises `GameAnalyticsError` if the manifest of the day that is being landed can't be read.
        """
        if day not in self._read:
            self._read[day] = self._landing(day) if day >= FIRST_DAY else None
        return self._read[day]

    def _landing(self, day: date) -> CommittedLanding | None:
        if day == self._day:
            return read_landing(self._lake, day)
        return read_landing_or_warn(self._lake, day, lambda why: self.unreadable.update({day: why}))

    def manifest_of(self, day: date) -> Manifest | None:
        landing = self.of(day)
        return None if landing is None else landing.manifest

    def closed_of(self, day: date, log: LogIdentity) -> Manifest | None:
        """The day's manifest if it was read from this log after its window had closed."""
        manifest = self.manifest_of(day)
        return manifest if manifest is not None and manifest.window_closed and manifest.log.is_same_as(log) else None

    def refresh(self, days: Iterable[date]) -> bool:
        """Forget those of these days that were committed since. Returns whether there was one."""
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
        return not is_current(self._lake, landing)
