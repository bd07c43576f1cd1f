"""Looks into objects where Dagster's records don't tell what they are: footers and hashes, each read once a process.

Bounded in time: what was not reached is looked at by the next tick.
"""

import io
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import polars as pl

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake, Listed
from game_analytics.lake.claims import Claim

T = TypeVar("T")
Version = tuple[str, str]
"""The key and the listed ETag of an object."""

SECONDS = 20.0
"""After which a tick begins to look into no further object. The daemon gives a tick a minute."""
HASHED_AT_MOST = 16 * 1024 * 1024
"""Bytes. A larger file takes longer to hash than a tick has."""

_THREADS = 8
_FOOTER_BYTES = 64 * 1024
_LARGEST_FOOTER = 16 * 1024 * 1024
_MAGIC = b"PAR1"


@dataclass
class _Memory:
    """What this process has read of the objects that no record matches, some hundred bytes of each."""

    claims: dict[Version, Claim | None] = field(default_factory=dict)
    hashes: dict[Version, str] = field(default_factory=dict)


@lru_cache(maxsize=64)
def _memory(_place: str, _reader: str) -> _Memory:
    return _Memory()


class Reader:
    """What objects of a lake hold, as far as there was time to look. ``name`` is whose memory it has; ``warn`` is told
    what can't be read."""

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
        """What these Parquet objects say that they were made from; those that were not reached are left out."""
        return self._look(objects, self._memory.claims, lambda listed: self._claim(listed, claim_of))

    def hashes(self, objects: Collection[Listed]) -> Mapping[Version, str]:
        """The SHA-256 (hex) of these objects' bytes; those that were not reached are left out."""
        return self._look(objects, self._memory.hashes, self._hash)

    def _look(
        self, objects: Collection[Listed], known: dict[Version, T], read: Callable[[Listed], tuple[str, T] | None]
    ) -> Mapping[Version, T]:
        """``read`` answers with the ETag of what it has read, or None where the object is gone. Of what nobody asks for
        any more nothing stays known."""
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
        """What was read of this version of the object; nothing if there was no time, or it lies there no more."""
        if self._clock() > self._until:
            return ()
        try:
            answer = read(listed)
            return () if answer is None or not self._is_still(listed, answer[0]) else (answer[1],)
        except Unavailable:
            self._until = self._clock()  # the others would wait for the same service
            raise
        except GameAnalyticsError as error:  # one object that can't be read keeps no other day waiting
            self._warn(str(error))
            return ()

    def _is_still(self, listed: Listed, etag: str) -> bool:
        """Whether what was read is what the listing shows. Where the two ETags differ, it was replaced meanwhile; or
        something between here and S3 lists another ETag than it delivers, and then a second listing shows the same."""
        return etag == listed.etag or listed in self._lake.listing(listed.key)

    def _claim(
        self, listed: Listed, claim_of: Callable[[Mapping[str, str]], Claim | None]
    ) -> tuple[str, Claim | None] | None:
        if listed.size == 0:
            return listed.etag, None
        tail = self._lake.tail(listed.key, _FOOTER_BYTES)
        if tail is not None and len(tail.body) < (length := _footer_length(tail.body)) <= _LARGEST_FOOTER:
            tail = self._lake.tail(listed.key, length)
        return None if tail is None else (tail.etag, claim_of(_metadata(tail.body)))

    def _hash(self, listed: Listed) -> tuple[str, str] | None:
        found = self._lake.digest(listed.key)
        return None if found is None else (found.etag, found.sha256)


def _footer_length(body: bytes) -> int:
    """Bytes from the beginning of the footer to the end of the file; 0 if it is no Parquet."""
    return int.from_bytes(body[-8:-4], "little") + 8 if body.endswith(_MAGIC) else 0


def _metadata(tail: bytes) -> Mapping[str, str]:
    if not _footer_length(tail):
        return {}
    try:
        return pl.read_parquet_metadata(io.BytesIO(tail))
    except pl.exceptions.PolarsError:  # no Parquet in spite of its end
        return {}
