"""Lakes for tests: on the tests' S3 server, and in memory, where S3 itself is not what is tested."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import polars as pl
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Downloaded, Lake, Listed, Stored
from game_analytics.local_stack.endpoint import S3Endpoint


def lake_at(endpoint: S3Endpoint, bucket: str, max_attempts: int = 2) -> LakeResource:
    return LakeResource(
        bucket=bucket,
        s3=S3Resource(
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
            max_attempts=max_attempts,
        ),
    )


T = TypeVar("T")


@dataclass
class MemoryLake(Lake):
    """A bucket in memory. Conditional writes behave as on S3; ETags are the MD5 of the content, and objects are dated
    by whole seconds."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    bucket: str = "in-memory"

    @property
    def endpoint(self) -> str:
        return "http://localhost"

    def listing(self, prefix: str) -> Iterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                body, written = self.objects[key]
                yield Listed(key, _etag(body), written, len(body))

    def etag(self, key: str) -> str | None:
        return _etag(self.objects[key][0]) if key in self.objects else None

    def get(self, key: str) -> Stored | None:
        if key not in self.objects:
            return None
        body = self.objects[key][0]
        return Stored(body, _etag(body))

    def size(self, key: str) -> int | None:
        return len(self.objects[key][0]) if key in self.objects else None

    def tail(self, key: str, size: int) -> Stored | None:
        stored = self.get(key)
        return None if stored is None else Stored(stored.body[-size:], stored.etag)

    def download(self, key: str, path: Path) -> Downloaded | None:
        stored = self.get(key)
        if stored is None:
            return None
        path.write_bytes(stored.body)
        return Downloaded(stored.etag, hashlib.sha256(stored.body).hexdigest())

    def scan_parquet(self, keys: Iterable[str], schema: pl.Schema) -> pl.LazyFrame:
        names = list(keys)
        if missing := [key for key in names if key not in self.objects]:
            raise FileNotFoundError(self.uri(missing[0]))
        if not names:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet([self.objects[key][0] for key in names], schema=schema)

    def put(self, key: str, body: bytes) -> str:
        self.objects[key] = body, self.clock().replace(microsecond=0)
        return _etag(body)

    @property
    def _conditions_are_kept(self) -> bool:
        """So they are, here; no marker is needed to show it."""
        return True

    def _put_if(self, key: str, body: bytes, current: str | None) -> str | None:
        return self.put(key, body) if self.etag(key) in {current, _etag(body)} else None

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.objects.pop(key, None)


def given_lake(lake: Lake) -> LakeResource:
    """A resource that opens this lake."""

    class GivenLake(LakeResource):
        def open(self) -> Lake:
            return lake

    return GivenLake(bucket=lake.bucket, s3=S3Resource())


@pytest.fixture
def lake_in_memory() -> LakeResource:
    """The resource of a lake in memory that is new and empty."""
    return given_lake(MemoryLake())


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
