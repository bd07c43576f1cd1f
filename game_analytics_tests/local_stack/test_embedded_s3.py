"""The embedded S3 server: it serves one block of code, prints nothing, and keeps nothing afterwards."""

import logging
import os
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import S3Endpoint, make_bucket, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def keys(client: "S3Client", bucket: str) -> list[str]:
    return [listed["Key"] for listed in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def port_of(endpoint: S3Endpoint) -> int:
    return int(endpoint.url.rpartition(":")[2])


def test_it_serves_what_was_put() -> None:
    with embedded_s3("lake") as endpoint, closing(s3_client(endpoint)) as client:
        client.put_object(Bucket="lake", Key="events/a", Body=b"one")
        assert client.get_object(Bucket="lake", Key="events/a")["Body"].read() == b"one"


@pytest.mark.trial
def test_the_next_one_starts_empty() -> None:
    with embedded_s3("lake") as endpoint, closing(s3_client(endpoint)) as client:
        client.put_object(Bucket="lake", Key="a", Body=b"one")
        make_bucket(endpoint, "another")
    with embedded_s3("lake") as endpoint, closing(s3_client(endpoint)) as client:
        assert keys(client, "lake") == []
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["lake"]


def test_it_listens_on_loopback_only_and_frees_its_port_when_it_ends() -> None:
    with embedded_s3("lake") as endpoint:
        assert endpoint.url.startswith("http://127.0.0.1:")
        port = port_of(endpoint)
    with embedded_s3("lake", port) as endpoint:  # the port is free again
        assert port_of(endpoint) == port


@pytest.mark.trial
def test_it_ends_when_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), embedded_s3("lake") as endpoint:
        raise ZeroDivisionError
    with pytest.raises(GameAnalyticsError, match="refuses to make the bucket 'lake'"):
        make_bucket(endpoint, "lake")


@pytest.mark.trial
def test_an_existing_bucket_is_kept() -> None:
    with embedded_s3("lake") as endpoint, closing(s3_client(endpoint)) as client:
        client.put_object(Bucket="lake", Key="a", Body=b"one")
        make_bucket(endpoint, "lake")
        assert keys(client, "lake") == ["a"]


def test_a_bucket_name_that_s3_forbids_is_reported_with_the_next_step() -> None:
    refusal = pytest.raises(GameAnalyticsError, match=r"the bucket 'no'.* GAME_ANALYTICS_BUCKET chooses")
    with refusal, embedded_s3("no"):
        pass


def test_it_is_silent_and_leaves_logging_and_environment_alone(capfd: pytest.CaptureFixture[str]) -> None:
    environment, level = dict(os.environ), logging.getLogger("werkzeug").level
    with embedded_s3("lake") as endpoint, closing(s3_client(endpoint)) as client:
        client.put_object(Bucket="lake", Key="a", Body=b"one")
        assert dict(os.environ) == environment
    assert logging.getLogger("werkzeug").level == level
    assert capfd.readouterr() == ("", "")


def test_the_secret_does_not_show_in_a_traceback() -> None:
    assert "hush" not in repr(S3Endpoint("http://127.0.0.1:1", "key", "hush"))


def test_without_its_packages_the_error_names_what_to_install(tmp_path: Path) -> None:
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(("moto", "flask")):
            (tmp_path / package.name).symlink_to(package)
    project = Path(__file__).parents[2]
    code = "from game_analytics.local_stack.embedded_s3 import embedded_s3\nwith embedded_s3('lake'): pass"
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{project}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "needs the Python package 'moto'" in ran.stderr
    assert "pip install 'game-analytics[local]'" in ran.stderr
