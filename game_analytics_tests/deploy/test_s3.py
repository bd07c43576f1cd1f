"""The S3 server of compose, natively: the same program with the very words of the compose file."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint, s3_client
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.seaweedfs import find_weed
from game_analytics_tests.support.deployment import example_secrets, services
from game_analytics_tests.support.preparing import lake_settings, prepared
from game_analytics_tests.support.requirements import NO_SEAWEEDFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SERVERS = ["s3", "master", "volume", "filer"]


@pytest.fixture
def weed() -> Path:
    return find_weed() or pytest.skip(NO_SEAWEEDFS)


@pytest.fixture
def ports() -> dict[str, int]:
    """Free ones of this machine, by the options that set them; in a container it takes its usual ones."""
    [admin] = free_ports(1, partner=10_000)
    options = [f"{server}.port{kind}" for server in SERVERS for kind in ("", ".grpc")]
    return {"admin.port": admin, **dict(zip(options, free_ports(len(options), {admin, admin + 10_000}), strict=True))}


@contextmanager
def s3_of_compose(weed: Path, folder: Path, ports: dict[str, int]) -> Iterator[S3Endpoint]:
    """As compose starts it, but for the folder and the ports, until the block ends."""
    (folder / "data").mkdir(exist_ok=True)
    words = [word.replace("=/data", "=data") for word in services()["s3"]["command"]]
    command = [weed, *words, *(f"-{option}={port}" for option, port in ports.items())]
    secrets = example_secrets()
    log = folder / "s3.log"
    with log.open("ab") as output:
        environment = {"HOME": str(folder), "PATH": os.defpath, **secrets}
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)  # noqa: S603
    endpoint = S3Endpoint(
        f"http://127.0.0.1:{ports['s3.port']}", secrets["AWS_ACCESS_KEY_ID"], secrets["AWS_SECRET_ACCESS_KEY"]
    )
    try:
        wait_until_healthy(endpoint, log)
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_until_healthy(endpoint: S3Endpoint, log: Path) -> None:
    """By the question that compose asks."""
    question = services()["s3"]["healthcheck"]["test"][-1].replace("http://127.0.0.1:8333", endpoint.url)
    end = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(question, timeout=5).close()  # noqa: S310
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        else:
            return


def content_once_its_volumes_have_joined(client: "S3Client") -> bytes:
    """It is healthy a moment before; until then it answers with an error that clients try again."""
    end = time.monotonic() + 30
    while True:
        try:
            return client.get_object(Bucket="lake", Key="key")["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "InternalError" or time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.mark.trial
def test_it_takes_the_credentials_of_its_environment_and_no_others_and_keeps_what_it_was_given(
    weed: Path, tmp_path: Path, ports: dict[str, int]
) -> None:
    with s3_of_compose(weed, tmp_path, ports) as endpoint, closing(s3_client(endpoint)) as client:
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client.put_object(Bucket="lake", Key="key", Body=b"nobody made the bucket")
        assert prepared(lake_settings(endpoint, "lake"))[0] == f"Made the bucket lake at {endpoint.url}"
        client.put_object(Bucket="lake", Key="key", Body=b"kept")
        with pytest.raises(GameAnalyticsError, match="does not accept the AWS credentials"):
            prepared(lake_settings(S3Endpoint(endpoint.url, endpoint.access_key_id, "guessed"), "lake"))
    with s3_of_compose(weed, tmp_path, ports) as endpoint, closing(s3_client(endpoint)) as client:
        assert prepared(lake_settings(endpoint, "lake"))[0] == f"Found the bucket lake at {endpoint.url}"
        assert content_once_its_volumes_have_joined(client) == b"kept"
