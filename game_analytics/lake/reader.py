"""Reads footers and hashes of objects that Dagster's records don't know, each once per process.

Bounded in time: what a tick does not reach, the next one reads.
"""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake, Listed, parquet_metadata_of
from game_analytics.lake.claims import Claim
from game_analytics.lake.stats_files import Folder

T = TypeVar("T")
Version = tuple[str, str]
"""The key and the listed ETag of an object."""

SECONDS = 20.0
"""A tick opens no further object after this time. The daemon gives a tick a minute."""
HASHED_AT_MOST = 16 * 1024 * 1024
"""Bytes. A larger file takes longer to hash than a tick has."""

_THREADS = 8


@dataclass
class _Memory:
    """What this process has read: a few hundred bytes per object."""

    claims: dict[Version, Claim | None] = field(default_factory=dict)
    hashes: dict[Version, str] = field(default_factory=dict)


@lru_cache(maxsize=64)
def _memory(_place: str, _reader: str) -> _Memory:
    return _Memory()


class Reader:
    """Reads objects of a lake, as far as there is time. Readers of one ``name`` share a memory; ``warn`` receives what
    can't be read."""

    def __init__(
        self,
        lake: Lake,
        name: str,
        warn: Callable[[str], None],
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake, self._warn, self._clock = lake, warn, clock
        self._memory = _memory(lake.place, name)
        self._until = clock() + seconds

    def claims(
        self, objects: Collection[Listed], claim_of: Callable[[Mapping[str, str]], Claim | None]
    ) -> Mapping[Version, Claim | None]:
        """By version, what these Parquet objects were made from (None if they don't say); without those not reached."""
        return self._look(objects, self._memory.claims, lambda listed: self._claim(listed, claim_of))

    def hashes(self, objects: Collection[Listed]) -> Mapping[Version, str]:
        """By version, the SHA-256 (hex) of these objects' bytes; without those not reached."""
        return self._look(objects, self._memory.hashes, self._hash)

    def _look(
        self, objects: Collection[Listed], known: dict[Version, T], read: Callable[[Listed], tuple[str, T] | None]
    ) -> Mapping[Version, T]:
        """``read`` returns the ETag and the value of what it has read, None if there is no such object. Versions that
        are no longer asked for are forgotten."""
        wanted = {each.version: each for each in objects}
        for version in known.keys() - wanted.keys():
            del known[version]
        unknown = {version: each for version, each in wanted.items() if version not in known}
        if unknown:
            with ThreadPoolExecutor(_THREADS) as threads:
                results = threads.map(lambda each: self._look_into(each, read), unknown.values())
                for version, result in zip(unknown, results, strict=True):
                    known.update((version, value) for value in result)
        return dict(known)

    def _look_into(self, listed: Listed, read: Callable[[Listed], tuple[str, T] | None]) -> tuple[T, ...]:
        """The value of this version of the object; empty if there was no time, or the version is no longer there."""
        if self._clock() > self._until:
            return ()
        try:
            answer = read(listed)
            return () if answer is None or not self._is_still(listed, answer[0]) else (answer[1],)
        except Unavailable:
            self._until = self._clock()  # other objects would wait for the same service
            raise
        except GameAnalyticsError as error:  # an unreadable object does not hold up other days
            self._warn(str(error))
            return ()

    def _is_still(self, listed: Listed, etag: str) -> bool:
        """Whether the listed version was read. If the ETags differ, the object was replaced meanwhile; or a proxy lists
        another ETag than it delivers, and then a second listing shows the same."""
        return etag == listed.etag or listed in self._lake.listing(listed.key)

    def _claim(
        self, listed: Listed, claim_of: Callable[[Mapping[str, str]], Claim | None]
    ) -> tuple[str, Claim | None] | None:
        if listed.size == 0 or isinstance(listed, Folder):
            return listed.etag, None
        footer = self._lake.parquet_footer(listed.key)
        return None if footer is None else (footer.etag, claim_of(parquet_metadata_of(footer.body)))

    def _hash(self, listed: Listed) -> tuple[str, str] | None:
        digest = self._lake.digest(listed.key)
        return None if digest is None else (digest.etag, digest.sha256)
