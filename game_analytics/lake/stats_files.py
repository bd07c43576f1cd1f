"""The stats files in the lake, each of them an object, or a folder of part files under an object's name, as Spark and
other writers of Hadoop's kind leave it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from game_analytics.lake.bucket import Downloaded, Lake, Listed
from game_analytics.lake.names import day_of_stats_key, part_of_stats_key, stats_key

WHOLE_AFTER = timedelta(minutes=10)
"""A folder that nobody has written to for so long is taken for whole."""

_SUCCESS = "_SUCCESS"
"""The name of the empty file that these writers add last."""


@dataclass(frozen=True)
class Folder(Listed):
    """A stats file of several parts. Its key is the folder's without the last slash, its ETag a hash of its parts' keys
    and ETags, which differs whenever one of them does."""

    parts: tuple[Listed, ...] = ()
    """By key."""
    is_marked: bool = False
    """Whether its writer has marked it as whole."""

    @property
    def known_sha256(self) -> str:
        """Its ETag is its hash."""
        return self.etag

    def is_whole(self, now: datetime) -> bool:
        return self.is_marked or now - self.last_modified > WHOLE_AFTER


@dataclass(frozen=True)
class StatsFiles:
    """What lies in ``events/``."""

    files: Mapping[date, Listed]
    """By day: objects, and folders that are whole."""
    unfinished: Mapping[date, Folder]
    """Folders that are still being written."""
    others: Sequence[Listed]
    """Objects that are neither a stats file nor in the folder of one."""


def sorted_out(listing: Iterable[Listed], now: datetime) -> StatsFiles:
    """Tell stats files from other objects. An object wins over a folder of the same name."""
    objects: dict[date, Listed] = {}
    inside: dict[date, list[Listed]] = {}
    others = []
    for listed in listing:
        if (day := day_of_stats_key(listed.key)) is not None:
            objects[day] = listed
        elif (part := part_of_stats_key(listed.key)) is not None:
            inside.setdefault(part[0], []).append(listed)
        else:
            others.append(listed)
    folders = {day: folder for day, found in inside.items() if (folder := _folder(day, found)) is not None}
    whole = {day: folder for day, folder in folders.items() if folder.is_whole(now)}
    unfinished = {day: folder for day, folder in folders.items() if day not in objects | whole}
    return StatsFiles({**whole, **objects}, unfinished, others)


def folder_of(lake: Lake, day: date) -> Folder | None:
    """The folder in the place of the day's stats file, whole or not; None if there is none, or no part in it."""
    return _folder(day, list(lake.listing(f"{stats_key(day)}/")))


def exists(lake: Lake, day: date) -> bool:
    """Whether the day has a stats file, be it a folder, whole or not."""
    return lake.etag(stats_key(day)) is not None or folder_of(lake, day) is not None


def current_version(lake: Lake, day: date) -> Downloaded | None:
    """ETag and hash of the day's stats file; of a folder its ETag for both. None if there is none."""
    found = lake.digest(stats_key(day))
    if found is not None:
        return found
    folder = folder_of(lake, day)
    return None if folder is None else Downloaded(folder.etag, folder.etag)


def _folder(day: date, found: Sequence[Listed]) -> Folder | None:
    names = {listed.key: part[1] for listed in found if (part := part_of_stats_key(listed.key)) is not None}
    parts = tuple(sorted((each for each in found if _is_part(names[each.key])), key=lambda each: each.key))
    if not parts:
        return None
    newest = max(each.last_modified for each in parts)
    versions = "".join(f"{each.key}\n{each.etag}\n" for each in parts)
    return Folder(
        key=stats_key(day),
        etag=hashlib.sha256(versions.encode()).hexdigest(),
        last_modified=max(each.last_modified for each in found),
        size=sum(each.size for each in parts),
        parts=parts,
        # One that is older than a part was left by an earlier writer.
        is_marked=any(names[each.key] == _SUCCESS and each.last_modified >= newest for each in found),
    )


def _is_part(name: str) -> bool:
    """Names that begin with an underscore or a dot are no data for Spark either: markers, checksums, and what is not
    finished."""
    return bool(name) and not name.endswith("/") and not any(each[:1] in "_." for each in name.split("/"))
