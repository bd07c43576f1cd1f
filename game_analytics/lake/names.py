"""The keys of the lake: from a day to its keys, and from a key back to its day. Pure; defined here only."""

import re
from datetime import date

from game_analytics.lake.manifest import ObjectKind

MANIFESTS_PREFIX = "raw/manifests/"
CONDITIONS_KEY = "raw/conditions.txt"
"""An object that is written once, on the condition that it is not there."""
STATS_PREFIX = "events/"
BOARDS_PREFIX = "leaderboard/"

_MANIFEST_KEY = re.compile(r"raw/manifests/([0-9]{4})_([0-9]{2})_([0-9]{2})\.json")
_SLICE_KEY = re.compile(r".*/([0-9]+)-([0-9]+)-([0-9]+)-[0-9a-f]{12}\.parquet")
_STATS_KEY = re.compile(r"events/([0-9]{4})_([0-9]{2})_([0-9]{2})_events\.parquet")
_PART_KEY = re.compile(r"events/([0-9]{4})_([0-9]{2})_([0-9]{2})_events\.parquet/(.*)", re.DOTALL)
_BOARD_KEY = re.compile(r"leaderboard/([0-9]{4})_([0-9]{2})_([0-9]{2})_([a-z0-9_]+)\.parquet")


def day_token(day: date) -> str:
    """The day as written in a key: ``2025_12_30``."""
    return f"{day:%Y_%m_%d}"


def day_prefix(kind: ObjectKind, day: date) -> str:
    """The folder of a day's raw or quarantined messages: ``raw/2025_12_30/``."""
    return f"{kind}/{day_token(day)}/"


def slice_key(kind: ObjectKind, day: date, partition: int, first: int, end: int, sha256_hex: str) -> str:
    """One slice of a Kafka partition, offsets ``first`` up to but without ``end``, named by its content."""
    return f"{day_prefix(kind, day)}{partition}-{first}-{end}-{sha256_hex[:12]}.parquet"


def slice_of_key(key: str) -> tuple[int, int, int] | None:
    """Partition, first offset and end of a slice's key, or None if the key is not one."""
    match = _SLICE_KEY.fullmatch(key)
    if match is None:
        return None
    partition, first, end = map(int, match.groups())
    return partition, first, end


def manifest_key(day: date) -> str:
    """The manifest that commits a day: ``raw/manifests/2025_12_30.json``, so that one listing has all of them."""
    return f"{MANIFESTS_PREFIX}{day_token(day)}.json"


def old_manifest_key(day: date) -> str:
    """The manifest's key in earlier versions: read if there is no manifest at the new one."""
    return f"{day_prefix('raw', day)}manifest.json"


def replaced_prefix(day: date) -> str:
    """The folder of the day's replaced manifests."""
    return f"{day_prefix('raw', day)}replaced/"


def kept_prefix(day: date) -> str:
    """The folder of manifests that were replaced although events were lost."""
    return f"{day_prefix('raw', day)}kept/"


def schemas_prefix(day: date) -> str:
    """The folder of the schemas that the day's messages were decoded by: ``raw/2025_12_30/schemas/``."""
    return f"{day_prefix('raw', day)}schemas/"


def schema_key(day: date, name: str) -> str:
    """A schema by its id or GUID in the registry: ``raw/2025_12_30/schemas/17.json``."""
    return f"{schemas_prefix(day)}{name}.json"


def replaced_manifest_key(day: date, sha256_hex: str) -> str:
    """A replaced manifest. The objects it lists are kept for a week after that."""
    return f"{replaced_prefix(day)}{sha256_hex[:12]}.json"


def kept_manifest_key(day: date, sha256_hex: str) -> str:
    """A manifest replaced by a landing with `allow_truncated`. The objects it lists are kept forever."""
    return f"{kept_prefix(day)}{sha256_hex[:12]}.json"


def stats_key(day: date) -> str:
    """One row per player of the day: ``events/2025_12_30_events.parquet``."""
    return f"{STATS_PREFIX}{day_token(day)}_events.parquet"


def board_key(day: date, board: str = "top10") -> str:
    """A published board of the day, by its name: ``leaderboard/2025_12_30_top10.parquet``."""
    return f"{BOARDS_PREFIX}{day_token(day)}_{board}.parquet"


def day_of_stats_key(key: str) -> date | None:
    """The day of a stats file's key, or None if the key is not one (another name, or no day of the calendar)."""
    return _day_of(_STATS_KEY.fullmatch(key))


def part_of_stats_key(key: str) -> tuple[date, str] | None:
    """The day of a stats file that is a folder, and the name in that folder; None if the key is in none."""
    match = _PART_KEY.fullmatch(key)
    day = _day_of(match)
    return None if match is None or day is None else (day, match[4])


def day_of_manifest_key(key: str) -> date | None:
    """The day of a manifest's key, or None if the key is not one."""
    return _day_of(_MANIFEST_KEY.fullmatch(key))


def day_of_board_key(key: str, board: str = "top10") -> date | None:
    """The day of a board's key, or None if the key is not one of this board."""
    match = _BOARD_KEY.fullmatch(key)
    return _day_of(match) if match is not None and match[4] == board else None


def _day_of(match: re.Match[str] | None) -> date | None:
    if match is None:
        return None
    year, month, day = map(int, match.groups()[:3])
    try:
        return date(year, month, day)
    except ValueError:
        return None
