"""The address and credentials of an S3 server on this machine, a client for it, and its bucket."""

import os
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from game_analytics.errors import GameAnalyticsError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The client must talk to the server that was just started and to no other, so it ignores the user's own AWS settings
# (profiles, files below ~/.aws, proxies, FIPS).
_NO_USER_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"total_max_attempts": 1},
    proxies={},
    use_fips_endpoint=False,
    use_dualstack_endpoint=False,
    s3={"addressing_style": "path"},
)


@dataclass(frozen=True)
class S3Endpoint:
    """An S3 server and what a client needs to use it."""

    url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "us-east-1"


def s3_client(endpoint: S3Endpoint) -> "S3Client":
    """A client for this server that does not retry. The caller closes it."""
    session = boto3.Session(botocore_session=botocore.session.Session(session_vars=_NO_USER_FILES))
    return session.client(
        "s3",
        endpoint_url=endpoint.url,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret_access_key,
        region_name=endpoint.region,
        config=_CONFIG,
    )


def make_bucket(endpoint: S3Endpoint, bucket: str) -> None:
    """Create the bucket unless it exists. Raises `GameAnalyticsError` if the server refuses its name."""
    with closing(s3_client(endpoint)) as client:
        try:
            client.create_bucket(Bucket=bucket)
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        except (BotoCoreError, ClientError) as refusal:
            raise GameAnalyticsError(
                f"The S3 server at {endpoint.url} refuses to make the bucket {bucket!r} ({refusal}). "
                "GAME_ANALYTICS_BUCKET chooses another name: 3 to 63 lower-case letters, digits and hyphens."
            ) from refusal
