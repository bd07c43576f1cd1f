"""Credentials appear nowhere, in success or failure: not in logs, events, metadata, snapshots, errors, representations
or process lists."""

import logging
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import (
    KafkaEventLogResource,
    LakeResource,
    PipelineSettings,
)
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.landing.slices import Slice
from game_analytics.leaderboards.stats_file import connect, open_stats
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.answering_s3 import LISTED, Answer, answering, closed_port
from game_analytics_tests.support.faulty_logs import Waits
from game_analytics_tests.support.harness import ALL, Pipeline, pipeline_on, small_simulation
from game_analytics_tests.support.samples import DAY, at, land_slices

Trial = Callable[[str, object], None]

CANARIES = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYKEY0000001",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+0000000000000000000000002",
    "AWS_SESSION_TOKEN": "canary/token+00000000000000000000000003==",
}
KAFKA_PASSWORD = "canary-kafka-password-4"
ALL_CANARIES = (*CANARIES.values(), KAFKA_PASSWORD)

# What a client tells of its own requests when it is asked to tell all: never asked for, and headers stand in it.
TALKATIVE = ("boto3", "botocore", "urllib3")

KEY = "events/2025_12_30_events.parquet"


def ensure_silent(text: str) -> None:
    for canary in ALL_CANARIES:
        assert canary not in text, text[max(0, text.index(canary) - 300) :][:600]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the places where a deployment has them."""
    for name, canary in CANARIES.items():
        monkeypatch.setenv(name, canary)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def everything_said(
    environment: None,  # noqa: ARG001 - set first
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[None]:
    """Searches all logs and output of the test, including other processes, at its end."""
    caplog.set_level(logging.DEBUG)
    yield
    spoken = [
        record.getMessage() + str(record.exc_text or "")
        for record in caplog.records
        if record.levelno >= logging.INFO or not record.name.startswith(TALKATIVE)
    ]
    written = capfd.readouterr()
    ensure_silent("\n".join([*spoken, written.out, written.err]))


def lake_as_deployed(endpoint_url: str, bucket: str = "game-analytics") -> LakeResource:
    """As in the definitions: credentials come from the AWS SDK's chain."""
    return LakeResource(
        bucket=bucket, s3=S3Resource(endpoint_url=endpoint_url, region_name="eu-central-1", max_attempts=1)
    )


def kafka_as_deployed(folder: Path) -> KafkaEventLogResource:
    """An address on which no server listens."""
    file = folder / "kafka.properties"
    file.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=reader\n"
        f"sasl.password={KAFKA_PASSWORD}\n"
    )
    servers = closed_port().removeprefix("http://")
    return KafkaEventLogResource(bootstrap_servers=servers, topic="game-events", config_file=str(file))


def all_that_the_instance_knows(pipeline: Pipeline) -> str:
    """Events, runs with their config and tags, snapshots of jobs and plans, and what the UI is text of the code."""
    instance = pipeline.instance
    runs = instance.get_runs()
    known: list[object] = [*runs, *(record for run in runs for record in instance.all_logs(run.run_id))]
    known += [instance.get_job_snapshot(run.job_snapshot_id) for run in runs if run.job_snapshot_id]
    known += [
        instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        for run in runs
        if run.execution_plan_snapshot_id
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised within Dagster
        known.append(RepositorySnap.from_def(pipeline.definitions.get_repository_def()))
    return "\n".join([*(dg.serialize_value(each) for each in known), *(str(run.run_config) for run in runs)])  # type: ignore[arg-type]


def ran(pipeline: Pipeline, *jobs: str) -> list[bool]:
    """Run each job, then tick the sensor; no output may contain a secret. Returns which jobs succeeded."""
    succeeded = [pipeline.run(job, str(DAY)).success for job in jobs]
    try:
        tick = pipeline.tick()
    except Exception as error:
        ensure_silent(with_causes(error))
    else:
        ensure_silent(repr(tick))
    text = all_that_the_instance_knows(pipeline)
    assert "raw_events" in text
    ensure_silent(text)
    ensure_silent(repr([pipeline.lake_resource, pipeline.definitions.resources, vars(pipeline.lake_resource)]))
    return succeeded


def with_causes(error: BaseException) -> str:
    """An error and its causes, as Python prints them."""
    return "".join(traceback.format_exception(error))


pytestmark = [pytest.mark.trial, pytest.mark.usefixtures("everything_said")]


@pytest.fixture
def bucket(lake_resource: LakeResource) -> str:
    return lake_resource.bucket


def test_a_successful_run_reveals_no_secret(s3: S3Endpoint, bucket: str, record_property: Trial) -> None:
    settings = PipelineSettings(workers=2, slice_messages=1_000)
    with pipeline_on(lake_as_deployed(s3.url, bucket), small_simulation(), settings) as pipeline:
        assert ran(pipeline, ALL) == [True]
        ensure_silent(repr(pipeline.lake_resource.open().__reduce__()[1]))
    record_property("trial", "credentials: a run of three assets in two processes and a tick tell none of 4 secrets")


def test_runs_without_an_answer_reveal_no_secret(
    tmp_path: Path, s3: S3Endpoint, bucket: str, record_property: Trial
) -> None:
    kafka = kafka_as_deployed(tmp_path)
    ensure_silent(repr([kafka, kafka.settings(), vars(kafka)]))
    with pipeline_on(lake_as_deployed(s3.url, bucket), kafka) as pipeline:
        assert ran(pipeline, "daily_stats_job") == [False]
    with pipeline_on(lake_as_deployed(closed_port())) as pipeline:
        assert ran(pipeline, "daily_stats_job", "leaderboard_job") == [False, False]
    record_property("trial", "credentials: 3 runs that nobody answers tell none")


def refusal(status: int, code: str) -> Answer:
    """S3's error response, with all details of the request."""
    key, _, token = CANARIES.values()
    return Answer(
        status,
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>The request is refused.</Message>"
        f"<AWSAccessKeyId>{key}</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 {key}</StringToSign>"
        f"<Token-0>{token}</Token-0><CanonicalRequest>GET\n/\n\nx-amz-security-token:{token}\n</CanonicalRequest>"
        "<RequestId>7</RequestId></Error>".encode(),
    )


REFUSALS = [
    (403, "InvalidAccessKeyId"),
    (403, "SignatureDoesNotMatch"),
    (403, "AccessDenied"),
    (400, "ExpiredToken"),
    (400, "InvalidToken"),
    (403, "SomethingNew"),
    (503, "SlowDown"),
]


def ask_by_boto3(lake: Lake) -> None:
    lake.get(KEY)


def ask_by_polars(lake: Lake) -> None:
    lake.collect(lake.scan_parquet([KEY], pl.Schema({"n": pl.Int64()})))


def ask_for_stats(lake: Lake) -> None:
    with closing(connect()) as connection, open_stats(lake, connection, DAY):
        raise AssertionError("there are no stats")


@pytest.mark.parametrize(("status", "code"), REFUSALS, ids=[code for _, code in REFUSALS])
def test_a_refusal_does_not_reveal_s3s_details_of_the_request(status: int, code: str, record_property: Trial) -> None:
    asks = (ask_by_boto3, ask_by_polars, ask_for_stats)
    for ask in asks:
        with answering(LISTED, refusal(status, code)) as server:
            lake = lake_as_deployed(server.url).open()
            with pytest.raises(GameAnalyticsError) as refused:
                ask(lake)
        ensure_silent(with_causes(refused.value))
        assert "\n" not in str(refused.value)
    with answering(refusal(status, code)) as server, pipeline_on(lake_as_deployed(server.url)) as pipeline:
        assert ran(pipeline, "daily_stats_job") == [False]
    record_property("trial", f"credentials: {code} tells none, by {len(asks)} ways to ask and in a run")


def test_unreadable_files_reveal_no_secret(s3: S3Endpoint, bucket: str) -> None:
    lake = lake_as_deployed(s3.url, bucket).open()
    lake.put(KEY, b"PAR1 this is no Parquet PAR1")
    for ask in (ask_by_polars, ask_for_stats):
        with pytest.raises(GameAnalyticsError) as unreadable:
            ask(lake)
        ensure_silent(with_causes(unreadable.value))
    with pipeline_on(lake_as_deployed(s3.url, bucket)) as pipeline:
        assert ran(pipeline, "leaderboard_job", "daily_stats_job") == [False, False]  # and nobody replaces it


def test_duckdb_does_not_reveal_its_settings(s3: S3Endpoint, bucket: str) -> None:
    lake = lake_as_deployed(s3.url, bucket).open()
    lake.put(KEY, b"no Parquet")
    with closing(connect()) as connection:
        with pytest.raises(GameAnalyticsError), open_stats(lake, connection, DAY):
            raise AssertionError("there are no stats")
        for statement in ("FROM duckdb_secrets()", "FROM duckdb_settings()", "FROM duckdb_variables()"):
            ensure_silent(repr(connection.execute(statement).fetchall()))


def test_the_command_line_reveals_nothing_about_a_refusal(record_property: Trial) -> None:
    with answering(refusal(403, "SignatureDoesNotMatch")) as server:
        done = subprocess.run(  # noqa: S603 - our own command
            [Path(sys.executable).parent / "game-analytics", "show", str(DAY)],
            env={
                "PATH": os.defpath,
                "HOME": "/nonexistent",
                "AWS_ENDPOINT_URL": server.url,
                "AWS_REGION": "x",
                **CANARIES,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: S3 at ")
    assert done.stderr.count("\n") == 1
    ensure_silent(done.stdout + done.stderr)
    record_property("trial", "credentials: the command line tells none")


def test_no_process_is_started_with_a_secret_on_its_command_line(
    s3: S3Endpoint, bucket: str, tmp_path: Path, record_property: Trial
) -> None:
    folder, go = tmp_path / "processes", tmp_path / "go"
    folder.mkdir()
    log = Waits({0: [at(0, "2025-12-30 12:00")], 1: [at(0, "2025-12-30 12:00")]}, folder=folder, go=go)
    lake = lake_as_deployed(s3.url, bucket).open()
    seen: list[str] = []

    def look(_messages: int) -> None:
        if len(log.processes()) == 2 and not go.exists():
            seen.extend(
                path.read_bytes().decode(errors="replace")
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if is_there(path)
            )
            go.touch()

    reports = list(land_slices(log, lake, [Slice(DAY, partition, 0, 1) for partition in (0, 1)], 2, look))
    assert sum(report.landed for report in reports) == 2
    assert sum("game_analytics.engines.worker" in line for line in seen) == 1
    ensure_silent("\n".join(seen))
    ensure_silent(repr([lake, log, reports]))
    record_property("trial", f"credentials: none on the command lines of {len(seen)} processes")


def is_there(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return True
