"""What this pipeline relies on in an S3 server, promise by promise. Each is tried with real requests below a prefix of
its own, which is emptied afterwards."""

import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from game_analytics.lake.bucket import ABSENT, REFUSED, Lake
from game_analytics.lake.errors import error_code, readable_s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WRITERS = 8
ROUNDS = 25
"""Of each kind, so fifty in all."""

_PREFIX = "raw/check-lake"
_OK = "written"


@dataclass(frozen=True)
class Tried:
    """A promise, and what was seen instead of it; None if it was kept."""

    promise: str
    seen: str | None


@dataclass(frozen=True)
class Place:
    """A bucket, and a prefix that nobody else uses."""

    client: "S3Client"
    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def put(self, name: str, body: bytes, **condition: Any) -> str:
        """Put an object. Returns ``written``, or the error code of a refusal."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body, **condition)
        except botocore.exceptions.ClientError as error:
            return error_code(error)
        return _OK

    def get(self, name: str, **part: Any) -> bytes:
        # `with ["Body"]` would give the raw stream, whose errors are not botocore's, and which checks no checksum.
        with closing(self.client.get_object(Bucket=self.bucket, Key=self.key(name), **part)["Body"]) as stream:
            return stream.read()

    def etag(self, name: str) -> str:
        return str(self.client.head_object(Bucket=self.bucket, Key=self.key(name)).get("ETag"))

    def listed(self, page: int = 1_000) -> list[dict[str, Any]]:
        paginator = self.client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/", PaginationConfig={"PageSize": page})
        return [dict(each) for answer in pages for each in answer.get("Contents", [])]


def check_lake(lake: Lake, promises: Collection[str] | None = None) -> Iterator[Tried]:
    """Try these of the `PROMISES`, or all, one after the other. Raises what the lake raises if S3 does not answer at
    all."""
    for promise in promises or PROMISES:
        trial = PROMISES[promise]
        place = Place(lake.client, lake.bucket, f"{_PREFIX}/{uuid.uuid4()}")
        with readable_s3_errors(lake.bucket, lake.endpoint, place.prefix):
            try:
                seen = trial(place)
            except botocore.exceptions.ClientError as error:
                seen = f"{error.operation_name} is answered {error_code(error)}"
            except botocore.exceptions.FlexibleChecksumError:
                seen = "what came back has another checksum"
            for each in place.listed():
                place.client.delete_object(Bucket=place.bucket, Key=each["Key"])
        yield Tried(promise, seen)


def _if_absent_on_a_free_key(place: Place) -> str | None:
    return _unless(place.put("new", b"1", IfNoneMatch="*"), {_OK})


def _if_absent_on_an_object(place: Place) -> str | None:
    place.put("old", b"1")
    return _unless(place.put("old", b"2", IfNoneMatch="*"), REFUSED)


def _if_match_of_another_version(place: Place) -> str | None:
    place.put("old", b"1")
    first = place.etag("old")
    place.put("old", b"2")
    seen = _unless(place.put("old", b"3", IfMatch=first), REFUSED)
    return seen or (None if place.get("old") == b"2" else "the object was replaced all the same")


def _if_match_of_this_version(place: Place) -> str | None:
    place.put("old", b"1")
    seen = _unless(place.put("old", b"2", IfMatch=place.etag("old")), {_OK})
    return seen or (None if place.get("old") == b"2" else "the object is the old one")


def _if_match_of_nothing(place: Place) -> str | None:
    return _unless(place.put("gone", b"1", IfMatch='"d41d8cd98f00b204e9800998ecf8427e"'), REFUSED | ABSENT)


def _one_etag_everywhere(place: Place) -> str | None:
    written = place.client.put_object(Bucket=place.bucket, Key=place.key("one"), Body=b"1").get("ETag")
    got = place.client.get_object(Bucket=place.bucket, Key=place.key("one")).get("ETag")
    seen = {"PUT": written, "GET": got, "HEAD": place.etag("one"), "listing": place.listed()[0].get("ETag")}
    bare = {how: None if etag is None else etag.strip('"') for how, etag in seen.items()}
    return None if len(set(bare.values())) == 1 and all(bare.values()) else f"ETags differ or lack: {bare}"


def _another_etag_for_other_bytes(place: Place) -> str | None:
    place.put("one", b"1")
    first = place.etag("one")
    place.put("one", b"2")
    return None if place.etag("one") != first else "other bytes have the same ETag"


def _ranges_from_the_end(place: Place) -> str | None:
    place.put("ten", b"0123456789")
    try:
        seen = place.get("ten", Range="bytes=-3"), place.get("ten", Range="bytes=-30")
    except botocore.exceptions.FlexibleChecksumError:  # it is the whole object's, which the lake then reads
        seen = place.get("ten")[-3:], place.get("ten")
    return None if seen == (b"789", b"0123456789") else f"the last 3 and the last 30 of 10 bytes are {seen}"


def _listings_in_order(place: Place) -> str | None:
    names = sorted((f"{number}/é" if number % 2 else f"{number}" for number in range(12)), key=str.encode)
    for name in reversed(names):
        place.put(name, b"1")
    listed = [each["Key"] for each in place.listed(page=5)]
    return None if listed == [place.key(name) for name in names] else f"listed by fives: {listed}"


def _deleted_is_gone(place: Place) -> str | None:
    place.put("one", b"1")
    place.put("two", b"2")
    objects = [{"Key": place.key("one")}, {"Key": place.key("absent")}]
    place.client.delete_objects(Bucket=place.bucket, Delete={"Objects": objects})  # type: ignore[typeddict-item]
    listed = [each["Key"] for each in place.listed()]
    return None if listed == [place.key("two")] else f"listed afterwards: {listed}"


def _an_object_and_a_folder(place: Place) -> str | None:
    seen = _unless(place.put("both", b"1"), {_OK}) or _unless(place.put("both/part", b"2"), {_OK})
    if seen is not None:
        return seen
    got = place.get("both"), place.get("both/part")
    return None if got == (b"1", b"2") else f"they hold {got}"


def _whole_objects(place: Place) -> str | None:
    body = bytes(range(256)) * 4096
    place.put("large", body, ChecksumAlgorithm="CRC32")
    return None if place.get("large", ChecksumMode="ENABLED") == body else "other bytes came back than were written"


def _one_creates(place: Place) -> str | None:
    return _one_of_many_wins(place, lambda _name: {"IfNoneMatch": "*"})


def _one_replaces(place: Place) -> str | None:
    def condition(name: str) -> dict[str, str]:
        place.put(name, b"first")
        return {"IfMatch": place.etag(name)}

    return _one_of_many_wins(place, condition)


def _one_of_many_wins(place: Place, condition_of: Callable[[str], dict[str, str]]) -> str | None:
    """`ROUNDS` rounds of `WRITERS` conditional writes at once: exactly one of each may be written."""
    wrong = []
    with ThreadPoolExecutor(WRITERS) as threads:
        for number in range(ROUNDS):
            name, condition = f"round-{number}", condition_of(f"round-{number}")
            bodies = [f"writer {writer}".encode() for writer in range(WRITERS)]
            answers = list(threads.map(lambda body, n=name, c=condition: place.put(n, body, **c), bodies))
            won = [body for body, answer in zip(bodies, answers, strict=True) if answer == _OK]
            if won != [place.get(name)]:
                wrong.append(f"{len(won)} writers won round {number}")
    return f"{len(wrong)} of {ROUNDS} rounds: {wrong[0]}, one may" if wrong else None


def _unless(answer: str, expected: set[str]) -> str | None:
    return None if answer in expected else f"the answer is {answer}"


PROMISES: dict[str, Callable[[Place], str | None]] = {
    "If-None-Match: * creates an object": _if_absent_on_a_free_key,
    "If-None-Match: * spares an object that is there": _if_absent_on_an_object,
    "If-Match replaces the version that it names": _if_match_of_this_version,
    "If-Match spares any other version": _if_match_of_another_version,
    "If-Match creates nothing": _if_match_of_nothing,
    f"of {WRITERS} writers at once one creates": _one_creates,
    f"of {WRITERS} writers at once one replaces": _one_replaces,
    "PUT, GET, HEAD and listings give the same ETag": _one_etag_everywhere,
    "other bytes have another ETag": _another_etag_for_other_bytes,
    "ranges from an object's end": _ranges_from_the_end,
    "listings are whole and sorted by bytes": _listings_in_order,
    "what is deleted is gone": _deleted_is_gone,
    "an object and a folder may have one name": _an_object_and_a_folder,
    "objects come back as they were written": _whole_objects,
}
"""By what it promises, a trial that returns what was seen instead, or None."""
