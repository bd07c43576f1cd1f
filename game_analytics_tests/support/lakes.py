"""Lakes for tests: on the tests' S3 server, and in memory for trials with thousands of landings."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Contested, InputChanged, Lake, Listed, Stored
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
    """A bucket in memory. Conditional writes behave as on S3; ETags are the MD5 of the content."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    bucket: str = "in-memory"

    @property
    def endpoint(self) -> str:
        return "memory:"

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

    def put(self, key: str, body: bytes) -> str:
        self.objects[key] = body, self.clock()
        return _etag(body)

    def replace(self, key: str, build: Callable[[], tuple[bytes, T]]) -> tuple[T, str]:
        for _ in range(3):
            standing = self.etag(key)
            try:
                body, report = build()
            except InputChanged:
                continue
            if self.etag(key) == standing:
                return report, self.put(key, body)
        raise Contested(f"{self.uri(key)} was replaced by others 3 times.")

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            del self.objects[key]


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
