"""The lake: objects in one S3 bucket, the one way to replace them, and Parquet in and out of them.

One boto3 session serves boto3 and Polars, and DuckDB by what it downloads; it is asked for credentials at each run,
since they expire.
"""

import hashlib
import io
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import botocore.loaders
import botocore.session
import polars as pl
from botocore.config import Config

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.errors import (
    START_LOCALLY,
    Refusal,
    ensure_bucket_name,
    error_code,
    explain,
    no_answer,
    readable_s3_errors,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_REPLACE_ATTEMPTS = 3
_DELETE_AT_ONCE = 1000  # what one DeleteObjects request takes
_CHUNK_BYTES = 1024 * 1024  # what a download keeps in memory
_SILENT_SECONDS = 12  # so that three attempts fit into the minute that the daemon gives a sensor's tick

_ABSENT = {"404", "NoSuchKey", "NotFound"}
_NO_SUCH_PART = {"416", "InvalidRange"}  # of an empty object
_FOOTER_BYTES = 1024 * 1024

# A conditional PUT is refused by 412, by 409 while another PUT is under way, and by 404 where the object has gone.
_REFUSED = _ABSENT | {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


class InputChanged(Exception):
    """What is being read was replaced meanwhile: start over."""


class Unreadable(GameAnalyticsError):
    """An object is no Parquet, or damaged. ``said`` is what Polars says of it; it does not always say of which."""

    def __init__(self, uri: str, said: str) -> None:
        super().__init__(f"Parquet in {uri} can't be read: {said}. Land the day again.")
        self.said = said


class Contested(GameAnalyticsError):
    """Another run replaced the same object again and again."""


@dataclass(frozen=True)
class Stored:
    """An object's content and the ETag that goes with it (without quotes)."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Downloaded:
    """What was written to a file: the ETag that goes with it (without quotes), and the SHA-256 of its bytes (hex)."""

    etag: str
    sha256: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    etag: str
    last_modified: datetime
    size: int

    @property
    def version(self) -> tuple[str, str]:
        """Key and ETag: another content has another one."""
        return self.key, self.etag


@dataclass(frozen=True)
class LakeSettings:
    """Which bucket, and how S3 is reached. What is None, the AWS SDK's own default chain finds out."""

    bucket: str
    endpoint_url: str | None = None
    region_name: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile_name: str | None = None
    use_ssl: bool = True
    verify: bool | None = None
    max_attempts: int = 3


class Lake:
    """One bucket. Keys are whole keys; ETags stand without quotes. A lake can be sent to another process."""

    def __init__(self, settings: LakeSettings) -> None:
        ensure_bucket_name(settings.bucket)
        self._settings = settings
        self.bucket = settings.bucket
        with readable_s3_errors(settings.bucket, settings.endpoint_url):
            # A new session for each lake, because credentials expire.
            self._session = _new_session(settings)
            self._client: S3Client = self._session.client(
                "s3",
                endpoint_url=settings.endpoint_url,
                use_ssl=settings.use_ssl,
                verify=settings.verify,
                config=Config(
                    connect_timeout=5,
                    read_timeout=_SILENT_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
                ),
            )

    @classmethod
    def open(cls, settings: LakeSettings) -> "Lake":
        """The lake, once S3 has shown that it answers, that the bucket exists and that it may be read.

        Raises `GameAnalyticsError` (or `Unavailable`) saying which of these does not hold and what to do.
        """
        lake = cls(settings)
        lake.ensure_reachable()
        return lake

    def __reduce__(self) -> tuple[type["Lake"], tuple[LakeSettings]]:
        """Settings alone: another process asks for credentials and makes its client itself."""
        return Lake, (self._settings,)

    @property
    def endpoint(self) -> str:
        """The URL that requests really go to, whatever setting it came from."""
        return self._client.meta.endpoint_url

    @property
    def place(self) -> str:
        """Which lake this is, as text: the bucket and where it lies. Equal keys in two places are different objects."""
        return f"s3://{self.bucket} at {self.endpoint.rstrip('/')}"

    @property
    def is_local(self) -> bool:
        """Whether that URL literally names this machine: ``localhost``, 127.0.0.0/8 or ``[::1]``."""
        host = urlsplit(self.endpoint).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def ensure_reachable(self) -> None:
        """One listing of one key: its answer tells a missing bucket from a refusal and from wrong credentials."""
        self._credentials  # noqa: B018 - raises if there are none
        with self._request():
            self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def ensure_bucket(self) -> bool:
        """Make the bucket, private and in the client's own region, where there is none. Returns whether it did."""
        self._credentials  # noqa: B018 - raises if there are none
        with self._request():
            try:
                self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
                return False
            except botocore.exceptions.ClientError as error:
                if error_code(error) != "NoSuchBucket":
                    raise
            region = self._client.meta.region_name
            where: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
            try:
                # S3's first region is the one that must not be named.
                self._client.create_bucket(Bucket=self.bucket, **({} if region == "us-east-1" else where))
            except self._client.exceptions.BucketAlreadyOwnedByYou:  # somebody of ours was faster
                return False
        return True

    def listing(self, prefix: str) -> Iterator[Listed]:
        """The objects below ``prefix``, by key."""
        with self._request(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield Listed(found["Key"], _bare(found["ETag"]), found["LastModified"], found["Size"])

    def etag(self, key: str) -> str | None:
        """The object's ETag, None if there is no such object."""
        with self._request(key):
            try:
                return self._etag_in(self._client.head_object(Bucket=self.bucket, Key=key), key)
            except botocore.exceptions.ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise

    def size(self, key: str) -> int | None:
        """How many bytes the object has, None if there is no such object."""
        with self._request(key):
            try:
                return self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
            except botocore.exceptions.ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise

    def get(self, key: str) -> Stored | None:
        """The object, None if there is no such object."""
        return self._get(key, {})

    def tail(self, key: str, size: int) -> Stored | None:
        """The last ``size`` bytes of the object, or all of a smaller one; None if there is no such object."""
        return self._get(key, {"Range": f"bytes=-{size}"})

    def _get(self, key: str, part: Mapping[str, Any]) -> Stored | None:
        with self._request(key):
            try:
                found = self._client.get_object(Bucket=self.bucket, Key=key, **part)
            except botocore.exceptions.ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                if error_code(error) in _NO_SUCH_PART:
                    return Stored(b"", "")
                raise
            # Not «with found["Body"]»: that gives the raw stream, whose errors are not botocore's.
            with closing(found["Body"]) as stream:
                return Stored(stream.read(), self._etag_in(found, key))

    def download(self, key: str, path: Path) -> Downloaded | None:
        """Write the object to a file, however large it is. Returns what just these bytes are called; None if there is
        no such object."""
        sha256 = hashlib.sha256()
        with self._request(key):
            try:
                found = self._client.get_object(Bucket=self.bucket, Key=key)
            except botocore.exceptions.ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise
            with closing(found["Body"]) as stream, path.open("wb") as file:
                for chunk in stream.iter_chunks(_CHUNK_BYTES):
                    sha256.update(chunk)
                    file.write(chunk)
            return Downloaded(self._etag_in(found, key), sha256.hexdigest())

    def digest(self, key: str) -> Downloaded | None:
        """What the object's bytes are called, however many they are; None if there is no such object."""
        return self.download(key, Path(os.devnull))

    def put(self, key: str, body: bytes) -> str:
        """Store an immutable object, whose name tells its content. Returns its ETag. It is written even where it
        stands already, so that it is young when old leftovers are cleared away."""
        with self._request(key):
            return self._etag_in(self._client.put_object(Bucket=self.bucket, Key=key, Body=body), key)

    def replace(self, key: str, build: Callable[[], tuple[bytes, T]]) -> tuple[T, str]:
        """Replace an object by what ``build`` makes of its input, and return what it tells of it and the new ETag.

        The standing ETag is read first, then ``build`` runs, then the object is put only if it still stands as it
        did: no stale run overwrites a newer one. On a refusal, or if ``build`` raises `InputChanged`, all starts over.
        Raises `Contested` when it was in vain three times.
        """
        for _ in range(_REPLACE_ATTEMPTS):
            standing = self.etag(key)
            try:
                body, report = build()
            except InputChanged:
                continue
            etag = self._put_if(key, body, standing)
            if etag is not None:
                return report, etag
        raise Contested(
            f"{self.uri(key)} or what it is made from was replaced by others {_REPLACE_ATTEMPTS} times while this run "
            "made it anew. Look which other runs or programs write it, then run again."
        )

    def _put_if(self, key: str, body: bytes, standing: str | None) -> str | None:
        """The new ETag; None if another object than ``standing`` is there. A retried PUT is refused by its own
        success, so an object that is byte for byte what was to be written counts as written."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if standing is None else {"IfMatch": f'"{standing}"'}
        with self._request(key):
            try:
                return self._etag_in(self._client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition), key)
            except botocore.exceptions.ClientError as error:
                if error_code(error) not in _REFUSED:
                    raise
        found = self.get(key)
        return found.etag if found is not None and found.body == body else None

    def _etag_in(self, answer: Mapping[str, Any], key: str) -> str:
        """The ETag that an answer tells. One that broke off among its headers looks whole to botocore."""
        etag = str(answer.get("ETag", ""))
        if len(etag) < 2 or not etag.endswith('"'):
            raise no_answer("an answer without its ETag", self.bucket, self.endpoint, key)
        return _bare(etag)

    def delete(self, keys: Iterable[str]) -> None:
        remaining = list(keys)
        while remaining:
            batch, remaining = remaining[:_DELETE_AT_ONCE], remaining[_DELETE_AT_ONCE:]
            with self._request(batch[0]):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            refused = answer.get("Errors", [])
            if refused:
                code, key = refused[0].get("Code", ""), refused[0].get("Key", "")
                told = explain(Refusal(code, 200, "DeleteObjects", "not deleted"), self.bucket, self.endpoint, key)
                if isinstance(told, Unavailable):
                    raise told
                raise GameAnalyticsError(
                    f"S3 at {self.endpoint} refuses to delete {len(refused)} objects: {code} for {self.uri(key)}. "
                    "Allow s3:DeleteObject in the policy of these credentials."
                )

    def scan_parquet(self, keys: Iterable[str], schema: pl.Schema) -> pl.LazyFrame:
        """The rows of Parquet objects of one schema; none for no keys. To be collected by `collect`."""
        uris = [self.uri(key) for key in keys]
        if not uris:
            return pl.LazyFrame(schema=schema)
        return pl.scan_parquet(
            uris, schema=schema, glob=False, storage_options=self._polars_options, credential_provider=None
        )

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """The result of a query over `scan_parquet`. Raises FileNotFoundError if an object is missing, `Unavailable`
        if S3 does not deliver, and `GameAnalyticsError` if it refuses or an object can't be read."""
        try:
            return query.collect(engine="streaming")
        except FileNotFoundError:
            raise
        except (OSError, pl.exceptions.PolarsError) as error:
            # Without its cause, which holds all that S3 says: where a signature is wrong, the request with its token.
            raise self._explain_polars(error) from None

    def _explain_polars(self, error: Exception) -> GameAnalyticsError:
        """Polars tells all that it knows as text: the object's path, and S3's answer if there was one."""
        said = str(error)
        path = re.search(rf"\(path: {re.escape(self.uri(''))}([^)]+)\)", said)
        key = path[1] if path else ""
        status = re.search(r"non-2xx status code: (\d+)", said)
        if status:
            return explain(Refusal.of_answer(int(status[1]), said), self.bucket, self.endpoint, key)
        if isinstance(error, OSError):
            return no_answer(type(error).__name__, self.bucket, self.endpoint, key)
        return Unreadable(self.uri(key), said.splitlines()[0])

    def read_parquet(self, key: str) -> pl.DataFrame | None:
        """A small Parquet object whole; None if there is no such object. Raises `GameAnalyticsError` if it is no
        Parquet."""
        stored = self.get(key)
        if stored is None:
            return None
        try:
            return pl.read_parquet(io.BytesIO(stored.body))
        except pl.exceptions.PolarsError as error:
            raise GameAnalyticsError(
                f"Parquet in {self.uri(key)} can't be read: {str(error).splitlines()[0]}."
            ) from error

    def parquet_metadata(self, key: str) -> dict[str, str]:
        """The key-value metadata of a Parquet object; none if there is no such object or it is no Parquet."""
        # They stand at the end, nearly always within so many bytes; a smaller object comes whole.
        for part in ({"Range": f"bytes=-{_FOOTER_BYTES}"}, {}):
            stored = self._get(key, part)
            if stored is None:
                return {}
            with suppress(pl.exceptions.ComputeError):
                return pl.read_parquet_metadata(io.BytesIO(stored.body))
        return {}

    @property
    def _credentials(self) -> dict[str, str]:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise GameAnalyticsError(f"No AWS credentials were found for s3://{self.bucket}. {START_LOCALLY}")
        frozen = credentials.get_frozen_credentials()
        found = {
            "aws_access_key_id": frozen.access_key,
            "aws_secret_access_key": frozen.secret_key,
            "aws_session_token": frozen.token,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def _polars_options(self) -> dict[str, str | int]:
        return {
            **self._credentials,
            "aws_region": self._client.meta.region_name,
            "aws_endpoint_url": self.endpoint,
            "max_retries": 2,
            # It would wait for ever.
            "read_timeout": f"{_SILENT_SECONDS}s",
            "aws_allow_http": "true" if urlsplit(self.endpoint).scheme == "http" else "false",
        }

    @contextmanager
    def _request(self, key: str = "") -> Iterator[None]:
        with readable_s3_errors(self.bucket, self.endpoint, key):
            yield


def parquet_metadata_of(body: bytes) -> dict[str, str]:
    """The key-value metadata of a whole Parquet file; none if it is no Parquet."""
    with suppress(pl.exceptions.ComputeError):
        return pl.read_parquet_metadata(io.BytesIO(body))
    return {}


def to_parquet(frame: pl.DataFrame, made_from: Mapping[str, str] | None = None) -> bytes:
    """The frame as one Parquet file (zstd), with what it was made from as key-value metadata. Equal frames give equal
    bytes."""
    buffer = io.BytesIO()
    # Higher levels take a fifth longer and make events no smaller: what repeats is in dictionaries already.
    # In one chunk, since the chunks that a frame comes in, one for each thread, would shape the file.
    frame.rechunk().write_parquet(buffer, compression="zstd", compression_level=1, metadata=dict(made_from or {}))
    return buffer.getvalue()


def _new_session(settings: LakeSettings) -> boto3.Session:
    botocore_session = botocore.session.Session()
    botocore_session.register_component("data_loader", _api_descriptions())
    return boto3.Session(
        botocore_session=botocore_session,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        aws_session_token=settings.session_token,
        region_name=settings.region_name,
        profile_name=settings.profile_name,
    )


@cache
def _api_descriptions() -> botocore.loaders.Loader:
    """What botocore knows of AWS's APIs: a quarter of a second to read, and the same for every session."""
    return botocore.loaders.create_loader()


def _bare(etag: str) -> str:
    return etag.strip('"')
