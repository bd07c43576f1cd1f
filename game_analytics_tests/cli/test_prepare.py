"""`game-analytics prepare`: the bucket on a server that is empty, filled, late or refusing."""

import os
import re
import time
import uuid
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.answering_postgres import ASKS, answering_postgres
from game_analytics_tests.support.answering_s3 import Answer, answering, closed_port, s3_error
from game_analytics_tests.support.forked import COMMAND, run_python
from game_analytics_tests.support.preparing import lake_settings, prepare_printing, prepared

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NO_TOPIC = "No topic is needed: KAFKA_BOOTSTRAP_SERVERS is not set, so events are simulated"
BUSY = s3_error(503, "ServiceUnavailable")
EMPTY = Answer(200, b"<ListBucketResult/>")


@pytest.fixture
def bucket() -> str:
    """An unused bucket name."""
    return f"lake-{uuid.uuid4()}"


def at(url: str) -> S3Endpoint:
    return S3Endpoint(url, "AKIAEXAMPLE", "hush-hush")


def with_database(s3: S3Endpoint, port: int) -> dict[str, str]:
    return {
        **lake_settings(s3, "shared"),
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(port),
        "POSTGRES_USER": "dagster",
        "POSTGRES_PASSWORD": "hush-hush",
        "POSTGRES_DB": "history",
    }


@pytest.mark.trial
def test_a_missing_bucket_is_created_and_nothing_else(s3: S3Endpoint, client: "S3Client", bucket: str) -> None:
    assert prepared(lake_settings(s3, bucket)) == [f"Made the bucket {bucket} at {s3.url}", NO_TOPIC]
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.trial
def test_an_existing_bucket_keeps_its_objects(s3: S3Endpoint, client: "S3Client", bucket: str) -> None:
    prepared(lake_settings(s3, bucket))
    client.put_object(Bucket=bucket, Key="events/2025_12_30_events.parquet", Body=b"content")
    assert prepared(lake_settings(s3, bucket)) == [f"Found the bucket {bucket} at {s3.url}", NO_TOPIC]
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_the_bucket_is_created_in_the_configured_region(s3: S3Endpoint, client: "S3Client", bucket: str) -> None:
    prepared(lake_settings(replace(s3, region="eu-central-1"), bucket))
    assert client.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-central-1"


def test_a_bucket_created_meanwhile_by_another_process_is_found(bucket: str) -> None:
    with answering(s3_error(404, "NoSuchBucket"), s3_error(409, "BucketAlreadyOwnedByYou")) as late:
        assert prepared(lake_settings(at(late.url), bucket))[0] == f"Found the bucket {bucket} at {late.url}"


def test_a_server_that_starts_late_is_waited_for_with_one_message(bucket: str) -> None:
    with answering(*[BUSY] * 7, EMPTY) as late:  # three attempts per call, so the third one is answered
        output = prepared(lake_settings(at(late.url), bucket), wait_seconds=30)
    waiting, *rest = output
    assert re.fullmatch(rf"Waiting up to \d+ s for S3 at {late.url}, which does not answer yet \.\.\.", waiting)
    assert rest == [f"Found the bucket {bucket} at {late.url}", NO_TOPIC]


def test_a_server_that_never_starts_fails_after_the_waiting_time(bucket: str) -> None:
    url, output, started = closed_port(), StringIO(), time.monotonic()
    with pytest.raises(Unavailable) as error:
        prepare_printing(output, lake_settings(at(url), bucket), wait_seconds=4)
    assert output.getvalue().count("Waiting") == 1
    assert f"S3 at {url} does not answer" in str(error.value)
    assert 4 < time.monotonic() - started < 30


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidAccessKeyId"])
def test_wrong_credentials_fail_at_once(bucket: str, code: str) -> None:
    output = StringIO()
    with answering(s3_error(403, code)) as refusing, pytest.raises(GameAnalyticsError) as error:
        prepare_printing(output, lake_settings(at(refusing.url), bucket), wait_seconds=60)
    assert output.getvalue() == ""
    assert f"does not accept the AWS credentials ({code}" in str(error.value)
    assert "hush-hush" not in str(error.value)
    assert len(refusing.asked) == 1


def test_a_database_that_accepts_connections_is_found_once_it_has_started(s3: S3Endpoint) -> None:
    with answering_postgres("the database system is starting up", "") as port:
        output = prepared(with_database(s3, port), wait_seconds=30)
    assert output[2].endswith(f" s for PostgreSQL at 127.0.0.1:{port}, which does not answer yet ...")
    assert output[3:] == [f"Found the database history at 127.0.0.1:{port}"]


@pytest.mark.parametrize(
    "reason", ['password authentication failed for user "dagster"', 'database "history" does not exist']
)
def test_a_database_that_refuses_fails_at_once_with_its_reason_and_without_the_password(
    s3: S3Endpoint, reason: str
) -> None:
    with answering_postgres(reason) as port, pytest.raises(GameAnalyticsError) as error:
        prepared(with_database(s3, port), wait_seconds=60)
    assert not isinstance(error.value, Unavailable)
    assert f"PostgreSQL at 127.0.0.1:{port} refuses: {reason}. Check POSTGRES_USER" in str(error.value)
    assert "hush-hush" not in str(error.value)


def test_a_database_whose_password_was_not_given_is_not_waited_for(s3: S3Endpoint) -> None:
    unset = {"POSTGRES_PASSWORD": ""}
    with answering_postgres(ASKS) as port, pytest.raises(GameAnalyticsError) as error:
        prepared(with_database(s3, port) | unset, wait_seconds=60)
    assert not isinstance(error.value, Unavailable)
    assert "no password supplied" in str(error.value)


def test_a_database_that_does_not_answer_is_named(s3: S3Endpoint) -> None:
    port = int(closed_port().rpartition(":")[2])
    with pytest.raises(Unavailable, match=rf"^PostgreSQL at 127.0.0.1:{port} does not answer \(.*Connection refused"):
        prepared(with_database(s3, port))


def test_the_command_prints_an_error_as_one_line(bucket: str) -> None:
    url = closed_port()
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", **lake_settings(at(url), bucket)}
    done = run_python(COMMAND, "prepare", "--wait-seconds", "0", environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: S3 at {url} does not answer")
    assert done.stderr.count("\n") == 1
