"""The provenance in the metadata of stats files and boards: their source, and the rule. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

MANIFEST_SHA256 = "game_analytics.manifest_sha256"
"""In a stats file's Parquet metadata: the SHA-256 (hex) of the manifest that it was made from."""
MANIFEST_ETAG = "game_analytics.manifest_etag"
"""In stats files of earlier versions instead: the ETag of the manifest."""

STATS_SHA256 = "game_analytics.stats_sha256"
"""In a board's Parquet metadata: the SHA-256 (hex) of the stats file that it was made from."""
STATS_ETAG = "game_analytics.stats_etag"
"""In boards of earlier versions instead: the stats file's ETag."""
RULE_VERSION_KEY = "game_analytics.rule_version"
MIN_ENGAGEMENTS = "game_analytics.min_engagements"
"""In a board's Parquet metadata: the rule that it was made by."""


@dataclass(frozen=True)
class Claim:
    """The source that an object was made from: the SHA-256 of its bytes (hex), or its ETag in files of earlier
    versions."""

    source_sha256: str | None
    source_etag: str | None = None
    rule: tuple[str, str] | None = None
    """Of a board: version of the rule and `min_engagements`, as text."""

    @property
    def needs_sha256(self) -> bool:
        """Whether the source has to be hashed to compare it."""
        return self.source_sha256 is not None

    def is_of(self, etag: str, sha256: str | None) -> bool:
        """Whether this is the source."""
        return self.source_sha256 == sha256 if self.needs_sha256 else self.source_etag == etag


def stats_claim(metadata: Mapping[str, str]) -> Claim | None:
    """The claim in a stats file's Parquet metadata; None if another program wrote the file."""
    return _claim(metadata, MANIFEST_SHA256, MANIFEST_ETAG)


def board_claim(metadata: Mapping[str, str]) -> Claim | None:
    """The claim in a board's Parquet metadata; None if another program wrote the board."""
    return _claim(metadata, STATS_SHA256, STATS_ETAG)


def _claim(metadata: Mapping[str, str], by_sha256: str, by_etag: str) -> Claim | None:
    if by_sha256 not in metadata and by_etag not in metadata:
        return None
    version, engagements = metadata.get(RULE_VERSION_KEY), metadata.get(MIN_ENGAGEMENTS)
    rule = None if version is None or engagements is None else (version, engagements)
    return Claim(metadata.get(by_sha256), metadata.get(by_etag), rule)
