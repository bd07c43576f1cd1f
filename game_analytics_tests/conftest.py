"""Fixtures for all tests: one S3 server a test process, one lake of its own for each test."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import S3Endpoint, s3_client
from game_analytics_tests.support.lakes import lake_at

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a time limit of their own are the longest: they start first, so that none of them is left alone."""
    limits = {item: [mark.args[0] for mark in item.iter_markers("timeout") if mark.args] for item in items}
    items.sort(key=lambda item: -max(limits[item], default=0))


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Endpoint]:
    """A real S3 API on loopback, for as long as this process tests."""
    with embedded_s3("shared") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def client(s3: S3Endpoint) -> Iterator["S3Client"]:
    """One client for all tests that only need one: making it takes longer than most of them."""
    with closing(s3_client(s3)) as client:
        yield client


@pytest.fixture
def lake_on_s3(s3: S3Endpoint, client: "S3Client") -> LakeResource:
    """The resource of a lake that is new and empty."""
    bucket = f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    return lake_at(s3, bucket)


@pytest.fixture
def lake_resource(lake_on_s3: LakeResource) -> LakeResource:
    """The lake that most tests use. In ``defs/`` and ``landing/``, where S3 itself is not tested, it is in memory."""
    return lake_on_s3


@pytest.fixture
def lake(lake_resource: LakeResource) -> Lake:
    """A lake that is new and empty."""
    return lake_resource.open()
