"""The landing of a day that stands: its manifest as it lies in the lake, at today's key or at the one of before."""

import hashlib
from dataclasses import dataclass
from datetime import date

from game_analytics.layout import manifest_key, old_manifest_key
from game_analytics.resources.lake import Lake
from game_analytics.rules.manifest import Manifest


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
