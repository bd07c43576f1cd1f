"""The lake: objects in one S3 bucket, the one way to replace them, and Parquet written to and read from them.

boto3 and Polars share one session, opened again in each run, since credentials expire. DuckDB reads downloaded files.
"""

import hashlib
import io
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
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
    Damaged,
    Refusal,
    ensure_bucket_name,
    error_code,
    explain,
    no_answer,
    readable_s3_errors,
)
from game_analytics.lake.names import CONDITIONS_KEY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_REPLACE_ATTEMPTS = 3
_DELETE_AT_ONCE = 1000  # what one DeleteObjects request takes
_CHUNK_BYTES = 1024 * 1024  # of a download in memory
_SILENT_SECONDS = 12  # three attempts fit into the minute that the daemon gives a sensor's tick

ABSENT = {"404", "NoSuchKey", "NotFound"}
"""Codes for an object that is not there."""
_NO_SUCH_PART = {"416", "InvalidRange"}  # a range of an empty object
_TAIL_BYTES = 64 * 1024  # holds nearly every footer
_MARKER = b"Shows whether this server keeps conditions: it is never replaced.\n"
_LARGEST_FOOTER = 16 * 1024 * 1024

# Answers to a conditional PUT that are explained at `Lake.replace`.
REFUSED = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
"""Codes for a condition that is not met."""


class InputChanged(Exception):
    """The input was replaced while it was read: `Lake.replace` starts over."""


class Unreadable(GameAnalyticsError):
    """An object is no Parquet, or is damaged. ``said``: the message of Polars, which does not always name the
    object."""

    def __init__(self, uri: str, said: str) -> None:
        super().__init__(f"Parquet in {uri} can't be read: {said}. Land the day again.")
        self.said = said


class Contested(GameAnalyticsError):
    """Other runs replaced the same object in each of three attempts."""


@dataclass(frozen=True)
class Stored:
    """An object's content and the ETag that goes with it (without quotes)."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Downloaded:
    """A downloaded object: its ETag (without quotes), and the SHA-256 of its bytes (hex)."""

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
        """Key and ETag: differs whenever the content differs."""
        return self.key, self.etag

    @property
    def known_sha256(self) -> str | None:
        """Its hash, where that is known without reading it."""
        return None


@dataclass(frozen=True)
class LakeSettings:
    """The bucket, and how to reach S3. For None, the AWS SDK's default chain applies."""

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
    """One bucket. Keys are whole keys, ETags have no quotes. A lake can be pickled and sent to another process."""

    def __init__(self, settings: LakeSettings) -> None:
        ensure_bucket_name(settings.bucket)
        self._settings = settings
        self.bucket = settings.bucket
        with readable_s3_errors(settings.bucket, settings.endpoint_url):
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
        """The lake, after checking that S3 answers, that the bucket exists and that it may be read.

        Raises `GameAnalyticsError` or `Unavailable` that says which of these failed and what to do.
        """
        lake = cls(settings)
        lake.ensure_reachable()
        return lake

    def __reduce__(self) -> tuple[type["Lake"], tuple[LakeSettings]]:
        """Only the settings: another process opens a session of its own."""
        return Lake, (self._settings,)

    @property
    def endpoint(self) -> str:
        """The URL that requests go to, whichever setting it came from."""
        return self._client.meta.endpoint_url

    @property
    def client(self) -> "S3Client":
        """For requests that try the server itself; all others are methods of this class."""
        return self._client

    @property
    def place(self) -> str:
        """Bucket and endpoint as text. Equal keys at two places are different objects."""
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
        """Lists one key: unlike HEAD, the answer distinguishes a missing bucket, a refusal and wrong credentials."""
        self._credentials  # noqa: B018 - raises if there are none
        with self._request():
            self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)

    def ensure_bucket(self) -> bool:
        """Create the bucket if it does not exist, private and in the client's region. Returns whether it was
        created."""
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
                # S3 refuses a location constraint for its first region.
                self._client.create_bucket(Bucket=self.bucket, **({} if region == "us-east-1" else where))
            except self._client.exceptions.BucketAlreadyOwnedByYou:  # another process was faster
                return False
        return True

    def listing(self, prefix: str) -> Iterator[Listed]:
        """The objects below ``prefix``, by key. Raises `GameAnalyticsError` if the server lists no ETags."""
        with self._request(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for each in page.get("Contents", []):
                    if not each.get("ETag"):
                        raise GameAnalyticsError(
                            f"S3 at {self.endpoint} lists {self.uri(each['Key'])} without an ETag, by which versions "
                            "of an object are told apart here. Use a server that lists ETags, as S3 itself does."
                        )
                    yield Listed(each["Key"], _bare(each["ETag"]), each["LastModified"], each["Size"])

    def etag(self, key: str) -> str | None:
        """The object's ETag, None if there is no such object."""
        with self._request(key):
            answer = _unless_absent(lambda: self._client.head_object(Bucket=self.bucket, Key=key))
            return None if answer is None else self._etag_in(answer, key)

    def size(self, key: str) -> int | None:
        """The object's size in bytes, None if there is no such object."""
        with self._request(key):
            answer = _unless_absent(lambda: self._client.head_object(Bucket=self.bucket, Key=key))
            return None if answer is None else answer["ContentLength"]

    def get(self, key: str) -> Stored | None:
        """The object, None if there is no such object."""
        return self._get(key, {})

    def tail(self, key: str, size: int) -> Stored | None:
        """The last ``size`` bytes of the object, or all of it; None if there is no such object."""
        try:
            return self._get(key, {"Range": f"bytes=-{size}"})
        except Damaged:  # or a server that gives the checksum of the whole object with a part of it
            return self.get(key)

    def _get(self, key: str, part: Mapping[str, Any]) -> Stored | None:
        with self._request(key):
            try:
                answer = _unless_absent(lambda: self._client.get_object(Bucket=self.bucket, Key=key, **part))
            except botocore.exceptions.ClientError as error:
                if error_code(error) in _NO_SUCH_PART:
                    return Stored(b"", "")
                raise
            if answer is None:
                return None
            # `with answer["Body"]` would give the raw stream, whose errors are not botocore's.
            with closing(answer["Body"]) as stream:
                return Stored(stream.read(), self._etag_in(answer, key))

    def download(self, key: str, path: Path) -> Downloaded | None:
        """Write the object to a file in chunks. Returns ETag and SHA-256 of exactly these bytes; None if there is no
        such object."""
        sha256 = hashlib.sha256()
        with self._request(key):
            answer = _unless_absent(lambda: self._client.get_object(Bucket=self.bucket, Key=key))
            if answer is None:
                return None
            with closing(answer["Body"]) as stream, path.open("wb") as file:
                for chunk in stream.iter_chunks(_CHUNK_BYTES):
                    sha256.update(chunk)
                    file.write(chunk)
            return Downloaded(self._etag_in(answer, key), sha256.hexdigest())

    def digest(self, key: str) -> Downloaded | None:
        """ETag and SHA-256 of the object, read in chunks; None if there is no such object."""
        return self.download(key, Path(os.devnull))

    def put(self, key: str, body: bytes) -> str:
        """Store an immutable object, named by its content. Returns its ETag. An existing one is written again, so that
        its age restarts and it is not deleted as an old leftover."""
        with self._request(key):
            return self._etag_in(self._client.put_object(Bucket=self.bucket, Key=key, Body=body), key)

    def replace(self, key: str, build: Callable[[], tuple[bytes, T]]) -> tuple[T, str]:
        """Replace an object by the bytes that ``build`` returns; returns the report of ``build`` and the new ETag.

        First the current ETag is read, then ``build`` runs, then the object is put on the condition that its ETag is
        still the same (``If-Match``, or ``If-None-Match: *`` for a new one), so that a slow run never overwrites a
        newer result. S3 answers 412 if the object has changed, 409 while another conditional PUT is under way, 404 if
        it was deleted: then, and if ``build`` raises `InputChanged`, everything starts over, three times at most.
        Raises `Contested` after that, and `GameAnalyticsError` if the server takes no notice of conditions.
        """
        self._conditions_are_kept  # noqa: B018 - asked once a run, before the first replacement
        for _ in range(_REPLACE_ATTEMPTS):
            current = self.etag(key)
            try:
                body, report = build()
            except InputChanged:
                continue
            etag = self._put_if(key, body, current)
            if etag is not None:
                return report, etag
        raise Contested(
            f"{self.uri(key)} or what it is made from was replaced by others {_REPLACE_ATTEMPTS} times while this run "
            "was about to replace it. Look which other runs or programs write it, then run again."
        )

    @cached_property
    def _conditions_are_kept(self) -> bool:
        """True; raises `GameAnalyticsError` if the server writes an object though it is there, against
        ``If-None-Match: *``. One request once the marker stands."""
        if self._create(CONDITIONS_KEY, _MARKER) and self._create(CONDITIONS_KEY, _MARKER):
            raise GameAnalyticsError(
                f"S3 at {self.endpoint} takes no notice of conditions: it replaced {self.uri(CONDITIONS_KEY)} though "
                "`If-None-Match: *` was asked for. A slow run could then replace newer results, so nothing was "
                "committed. Use a server that keeps conditions; `game-analytics check-lake` tries what is needed."
            )
        return True

    def _create(self, key: str, body: bytes) -> bool:
        """Store an object unless there is one. Returns whether it was stored."""
        with self._request(key):
            try:
                self._client.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
            except botocore.exceptions.ClientError as error:
                if error_code(error) not in REFUSED:
                    raise
                return False
        return True

    def _put_if(self, key: str, body: bytes, current: str | None) -> str | None:
        """The new ETag; None if the object is not ``current`` any more. A PUT that succeeded, and was retried since its
        answer was lost, is refused; so an object with exactly these bytes counts as written."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if current is None else {"IfMatch": f'"{current}"'}
        with self._request(key):
            try:
                return self._etag_in(self._client.put_object(Bucket=self.bucket, Key=key, Body=body, **condition), key)
            except botocore.exceptions.ClientError as error:
                if error_code(error) not in REFUSED | ABSENT:
                    raise
        stored = self.get(key)
        return stored.etag if stored is not None and stored.body == body else None

    def _etag_in(self, answer: Mapping[str, Any], key: str) -> str:
        """The ETag of an answer. botocore accepts an answer that was cut off within its headers."""
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
                error = explain(Refusal(code, 200, "DeleteObjects", "not deleted"), self.bucket, self.endpoint, key)
                if isinstance(error, Unavailable):
                    raise error
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
        if S3 does not answer, and `GameAnalyticsError` if it refuses or an object can't be read."""
        try:
            return query.collect(engine="streaming")
        except FileNotFoundError:
            raise
        except (OSError, pl.exceptions.PolarsError) as error:
            # Without its cause, which holds the whole answer: for a wrong signature, the request with its token.
            raise self._explain_polars(error) from None

    def _explain_polars(self, error: Exception) -> GameAnalyticsError:
        """Polars gives the object's path and S3's answer, if there was one, only as text."""
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
        stored = self.parquet_footer(key)
        return {} if stored is None else parquet_metadata_of(stored.body)

    def parquet_footer(self, key: str) -> Stored | None:
        """The end of a Parquet object with its whole footer; None if there is no such object. Of other objects, and of
        footers over 16 MiB, any part. The whole object where the server gives no parts of one that is not empty."""
        size, needed = 0, _TAIL_BYTES
        stored = None
        while size < needed <= _LARGEST_FOOTER:
            size = needed
            stored = self.tail(key, size)
            needed = 0 if stored is None or len(stored.body) != size else _footer_length(stored.body)
        return self.get(key) if stored is not None and not stored.body and self.size(key) else stored

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
            # By default it waits forever.
            "read_timeout": f"{_SILENT_SECONDS}s",
            "aws_allow_http": "true" if urlsplit(self.endpoint).scheme == "http" else "false",
        }

    @contextmanager
    def _request(self, key: str = "") -> Iterator[None]:
        with readable_s3_errors(self.bucket, self.endpoint, key):
            yield


def parquet_metadata_of(body: bytes) -> dict[str, str]:
    """The key-value metadata of a Parquet file, or of its end with the whole footer; none if it is no Parquet."""
    if not _footer_length(body):
        return {}
    try:
        return pl.read_parquet_metadata(io.BytesIO(body))
    except pl.exceptions.PolarsError:  # damaged, or a footer that is not all there
        return {}


def _footer_length(body: bytes) -> int:
    """Bytes from the start of the footer to the end of the file; 0 if it is no Parquet."""
    return int.from_bytes(body[-8:-4], "little") + 8 if body.endswith(b"PAR1") else 0


def to_parquet(frame: pl.DataFrame, made_from: Mapping[str, str] | None = None) -> bytes:
    """The frame as one Parquet file (zstd), with ``made_from`` as key-value metadata. Equal frames give equal bytes."""
    buffer = io.BytesIO()
    # Higher levels take a fifth longer and do not shrink events: repeated values are in dictionaries already.
    # One chunk, since the number of chunks, one per thread, would change the bytes.
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
    """botocore's descriptions of AWS's APIs, shared by all sessions: they take a quarter of a second to read."""
    return botocore.loaders.create_loader()


def _unless_absent(request: Callable[[], T]) -> T | None:
    """The answer to a request, None if S3 says that there is no such object."""
    try:
        return request()
    except botocore.exceptions.ClientError as error:
        if error_code(error) in ABSENT:
            return None
        raise


def _bare(etag: str) -> str:
    return etag.strip('"')
