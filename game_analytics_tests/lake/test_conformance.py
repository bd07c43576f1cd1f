"""`check-lake`: a server that keeps all promises, and servers that break one each."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics.lake.conformance import PROMISES, check_lake

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Client:
    """A client that behaves as the server behind it."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class IgnoresConditions(Client):
    def put_object(self, **request: Any) -> Any:
        return self._client.put_object(**{name: request[name] for name in request if name not in CONDITIONS})


class IgnoresRanges(Client):
    def get_object(self, **request: Any) -> Any:
        return self._client.get_object(**{name: request[name] for name in request if name != "Range"})


class RefusesFolders(Client):
    """As servers on a file system do."""

    def put_object(self, **request: Any) -> Any:
        if request["Key"].endswith("/part"):
            return self._client.get_object(Bucket=request["Bucket"], Key="absent")
        return self._client.put_object(**request)


CONDITIONS = {"IfMatch", "IfNoneMatch"}


ALONE = [promise for promise in PROMISES if "at once" not in promise]
"""Without those of several writers, which take seconds and which moto breaks: it looks and then writes."""


def broken_by(lake_resource: LakeResource, kind: type[Client], promises: Collection[str] = ALONE) -> dict[str, str]:
    """The promises that such a server breaks, and what was seen instead."""

    class Behind(Lake):
        @property
        def client(self) -> "S3Client":
            return cast("S3Client", kind(super().client))

    lake = Behind(lake_resource.settings())
    tried = list(check_lake(lake, promises))
    assert [each.promise for each in tried] == list(promises)
    assert list(lake.listing("")) == []
    return {each.promise: each.seen for each in tried if each.seen is not None}


@pytest.mark.trial
def test_a_server_that_ignores_conditions_is_found_out(lake_resource: LakeResource) -> None:
    broken = broken_by(lake_resource, IgnoresConditions, list(PROMISES))
    assert broken == {
        "If-None-Match: * spares an object that is there": "the answer is written",
        "If-Match spares any other version": "the answer is written",
        "If-Match creates nothing": "the answer is written",
        "of 8 writers at once one creates": "25 of 25 rounds: 8 writers won round 0, one may",
        "of 8 writers at once one replaces": "25 of 25 rounds: 8 writers won round 0, one may",
    }


def test_a_server_that_ignores_ranges_is_found_out(lake_resource: LakeResource) -> None:
    broken = broken_by(lake_resource, IgnoresRanges)
    assert list(broken) == ["ranges from an object's end"]


def test_a_server_without_folders_is_found_out_and_the_other_promises_are_tried(lake_resource: LakeResource) -> None:
    broken = broken_by(lake_resource, RefusesFolders)
    assert broken == {"an object and a folder may have one name": "the answer is NoSuchKey"}
