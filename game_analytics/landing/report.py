"""What an operator decides about landing a day, and what is reported of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from game_analytics.engines.engine import Engine
from game_analytics.engines.local import LocalEngine
from game_analytics.lake.manifest import Manifest
from game_analytics.landing.slices import AS_JSON, MAX_SLICE, Reading


@dataclass(frozen=True)
class LandingOptions:
    """What an operator decides about landing a day."""

    lateness: timedelta
    """How long after its day an event may arrive and still be read with the day."""
    allow_truncated: bool = False
    """Land what is left of a day where the log no longer holds all of it, or holds less than the committed landing."""
    found_by: tuple[date, ...] = ()
    """Read also the offsets that the landings of these days have read, which found events of this one."""
    engine: Engine = field(default_factory=LocalEngine)
    """Where slices are landed."""
    reading: Reading = AS_JSON
    """How messages are read."""
    slice_size: int = MAX_SLICE
    """Offsets in a slice at most."""


@dataclass(frozen=True)
class TypesSeen:
    """The types of a day's messages, and the times in them."""

    landed: Mapping[str, int]
    """Landed events by type."""
    ignored: Mapping[str, int]
    """Ignored messages in the day's own offsets by type, most first."""
    times: Mapping[str, int]
    """Valid events whose ``ts`` is a text, by `rules.events.TIMES`."""


@dataclass(frozen=True)
class LandingReport:
    """A committed day, and what an operator should know about it."""

    manifest: Manifest
    etag: str
    warnings: list[str]
    truncated: list[str]
    """What the log no longer held, a sentence each."""
    reasons: dict[str, int]
    """Quarantined messages by reason, in the order of `rules.events.REASONS`."""
    samples: dict[str, bytes | None]
    """The first quarantined message of each reason, as received."""
    own: Mapping[str, int]
    """Messages in the day's own offsets, by `COUNTS`."""
    types: TypesSeen | None = None
    """What types and times were seen; None if only the quarantine was read again."""
    lags: str | None = None
    """Why producers or a mirror may be behind: a sentence."""
    unread_before: list[str] = field(default_factory=list)
    """Offsets before this landing that no other landing has read, a sentence per partition."""
    lands_again: Mapping[date, bool] = field(default_factory=dict)
    """For each day with missed events, whether a sensor will land it again."""

    @property
    def beyond(self) -> dict[str, int]:
        """Messages read beyond the day's own offsets, to land late events of it, by `COUNTS`."""
        total = self.manifest.total()
        return {name: total[name] - count for name, count in self.own.items()}

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest's bytes (hex): the name of this landing in files that are made from it."""
        return hashlib.sha256(self.manifest.to_json()).hexdigest()
