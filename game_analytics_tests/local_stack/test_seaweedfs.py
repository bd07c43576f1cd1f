"""SeaweedFS: an S3 server whose objects outlive it."""

import dataclasses
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.exceptions import ClientError

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.conformance import PROMISES
from game_analytics.lake.names import stats_key
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.local_stack.endpoint import make_bucket, s3_client
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.seaweedfs import SeaweedFS, find_weed
from game_analytics_tests.support.commands import run_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.processes import eventually, programs
from game_analytics_tests.support.requirements import NO_SEAWEEDFS
from game_analytics_tests.support.samples import DAY, at, land
from game_analytics_tests.support.samples import kill as a_kill

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def weed() -> Path:
    return find_weed() or pytest.skip(NO_SEAWEEDFS)


@pytest.fixture(scope="module")
def server(weed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    [port] = free_ports(1)
    with SeaweedFS(tmp_path_factory.mktemp("s3"), port, weed) as running:
        make_bucket(running.endpoint, "lake")
        yield running


@pytest.fixture
def client(server: SeaweedFS) -> Iterator["S3Client"]:
    with closing(s3_client(server.endpoint)) as client:
        yield client


def refusal_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def kill(port: int) -> None:
    [weed_process] = programs(f"-s3.port={port}")
    os.kill(weed_process.pid, signal.SIGKILL)


def test_its_files_are_there_after_a_restart_and_after_a_kill(weed: Path, tmp_path: Path) -> None:
    [port] = free_ports(1)
    for start in range(3):
        with SeaweedFS(tmp_path / "s3", port, weed) as server, closing(s3_client(server.endpoint)) as client:
            make_bucket(server.endpoint, "lake")
            client.put_object(Bucket="lake", Key=str(start), Body=bytes([start]) * 100_000)
            for earlier in range(start + 1):
                stored = client.get_object(Bucket="lake", Key=str(earlier))["Body"].read()
                assert stored == bytes([earlier]) * 100_000
            if start == 1:
                kill(port)
    assert not programs(f"-s3.port={port}")


def test_it_leaves_no_socket_in_the_temporary_folder(weed: Path, tmp_path: Path) -> None:
    [port] = free_ports(1)
    with SeaweedFS(tmp_path, port, weed):
        [weed_process] = programs(f"-s3.port={port}")
        listeners = re.findall(r"-(\w+)\.port\.grpc=(\d+)", weed_process.command)
        sockets = [Path(f"/tmp/seaweedfs-{name}-grpc-{number}.sock") for name, number in listeners]  # noqa: S108
        assert len(sockets) == 5
        eventually(lambda: all(path.is_socket() for path in sockets), "all its servers listen")
        os.kill(weed_process.pid, signal.SIGKILL)  # so that it does not remove them itself
    assert not any(path.exists() for path in sockets)


def test_it_listens_on_loopback_only(server: SeaweedFS) -> None:
    [weed_process] = programs(f"-s3.port={server.endpoint.url.rpartition(':')[2]}")
    sockets = psutil.Process(weed_process.pid).net_connections("tcp")
    assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_it_refuses_another_secret(server: SeaweedFS) -> None:
    stranger = dataclasses.replace(server.endpoint, secret_access_key="wrong")
    with closing(s3_client(stranger)) as client, pytest.raises(ClientError) as refused:
        client.list_objects_v2(Bucket="lake")
    assert refusal_of(refused) == "SignatureDoesNotMatch"


def test_it_refuses_an_unknown_key(server: SeaweedFS) -> None:
    stranger = dataclasses.replace(server.endpoint, access_key_id="unknown")
    with closing(s3_client(stranger)) as client, pytest.raises(ClientError) as refused:
        client.put_object(Bucket="lake", Key="a", Body=b"")
    assert refusal_of(refused) == "InvalidAccessKeyId"


def test_it_refuses_unsigned_requests(server: SeaweedFS) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(f"{server.endpoint.url}/lake")  # noqa: S310
    refused.value.close()


def test_a_bucket_that_does_not_exist_is_an_error(client: "S3Client") -> None:
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="typo", Key="a", Body=b"")
    assert refusal_of(refused) == "NoSuchBucket"


def test_a_new_object_is_written_only_where_there_was_none(client: "S3Client") -> None:
    client.put_object(Bucket="lake", Key="new", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="lake", Key="new", Body=b"second", IfNoneMatch="*")
    assert refusal_of(refused) == "PreconditionFailed"
    assert client.get_object(Bucket="lake", Key="new")["Body"].read() == b"first"


def test_an_object_is_replaced_only_if_its_etag_is_given(client: "S3Client") -> None:
    first = client.put_object(Bucket="lake", Key="board", Body=b"first")["ETag"]
    client.put_object(Bucket="lake", Key="board", Body=b"second", IfMatch=first)
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket="lake", Key="board", Body=b"stale", IfMatch=first)
    assert refusal_of(refused) == "PreconditionFailed"
    assert client.get_object(Bucket="lake", Key="board")["Body"].read() == b"second"


def test_a_second_server_on_the_same_files_is_refused(weed: Path, tmp_path: Path) -> None:
    first, second = free_ports(2)
    refusal = pytest.raises(GameAnalyticsError, match=f"still runs on the files in {tmp_path}")
    with SeaweedFS(tmp_path, first, weed), refusal, SeaweedFS(tmp_path, second, weed):
        pass


def test_one_that_ends_at_once_is_reported_with_the_end_of_its_log(weed: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "filerldb2").write_text("a file where it needs a folder")
    [port] = free_ports(1)
    report = pytest.raises(GameAnalyticsError, match=r"SeaweedFS ended before it answered .* says:\n(.*\n)*.*filerldb2")
    with report, SeaweedFS(tmp_path, port, weed):
        pass
    assert not programs(f"-s3.port={port}")


def test_a_start_that_is_given_up_does_not_wait_for_an_answer(weed: Path, tmp_path: Path) -> None:
    [port] = free_ports(1)
    refusal = pytest.raises(GameAnalyticsError, match="did not answer")
    with refusal, SeaweedFS(tmp_path, port, weed, give_up=lambda: True):
        pass


def test_it_keeps_all_that_the_lake_relies_on_also_with_eight_writers_at_once(server: SeaweedFS) -> None:
    make_bucket(server.endpoint, "checked")
    done = run_on(server.endpoint, lake_at(server.endpoint, "checked"), "check-lake")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("s3://checked at ")
    assert sum(" yes" in line for line in lines) == len(PROMISES)


@pytest.mark.parametrize("name", ["part-0.parquet", "_SUCCESS"])
def test_stats_that_a_folder_is_in_the_way_of_name_it(server: SeaweedFS, client: "S3Client", name: str) -> None:
    """SeaweedFS says that there is no such object, and then that it can't write one because there is."""
    bucket = f"folders-{name.strip('_').lower().partition('.')[0]}"
    client.create_bucket(Bucket=bucket)
    lake = lake_at(server.endpoint, bucket).open()
    lake.put(f"{stats_key(DAY)}/{name}", b"of another program")
    land(ListedLog({0: [at(0, "2025-12-30 12:00", a_kill("zoe"))]}), lake)
    assert lake.etag(stats_key(DAY)) is None
    with pytest.raises(GameAnalyticsError, match="can't be written: a folder of that name lies there"):
        publish_stats(lake, DAY, replace_foreign=True)
