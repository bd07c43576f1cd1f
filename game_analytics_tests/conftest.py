"""Fixtures for all tests: one S3 server a test process, one lake of its own for each test."""

import uuid
from collections.abc import Iterator

import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.resources.configured import LakeResource
from game_analytics.resources.lake import Lake


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Endpoint]:
    """A real S3 API on loopback, for as long as this process tests."""
    with embedded_s3("shared") as endpoint:
        yield endpoint


@pytest.fixture
def lake_resource(s3: S3Endpoint) -> LakeResource:
    """The resource of a lake that is new and empty."""
    resource = lake_at(s3, bucket=f"lake-{uuid.uuid4()}")
    resource.s3.get_client().create_bucket(Bucket=resource.bucket)
    return resource


@pytest.fixture
def lake(lake_resource: LakeResource) -> Lake:
    """A lake that is new and empty."""
    return lake_resource.open()


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
