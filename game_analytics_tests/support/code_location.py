"""The services of a deployment as S3 users restricted to their policies, and what the code location does."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from rich.console import Console

from game_analytics.cli.quarantine import show_quarantine
from game_analytics.cli.show import show_board, show_player
from game_analytics.defs.freshness import freshness_config, freshness_job
from game_analytics.defs.jobs import daily_stats_job
from game_analytics.defs.resources import lake_resource
from game_analytics.defs.sensors.late_events import late_events
from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.leftovers import clear_leftovers
from game_analytics.settings import read_settings
from game_analytics_tests.support.harness import ALL, REREAD, Pipeline, SilentLog, failure_of, pipeline_on
from game_analytics_tests.support.s3_permissions import User

DAY = "2025-12-30"


@contextmanager
def environment_of(user: User) -> Iterator[None]:
    """As in a service's container: AWS settings come only from its environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ENDPOINT_URL": user.s3.url,
            "AWS_DEFAULT_REGION": user.s3.region,
            "AWS_ACCESS_KEY_ID": user.s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": user.s3.secret_access_key,
            "GAME_ANALYTICS_BUCKET": user.bucket,
        }.items():
            environment.setenv(name, value)
        # boto3 keeps one default session per process, with the first credentials.
        environment.setattr(boto3, "DEFAULT_SESSION", None)
        yield


def output_of(user: User, folder: Path, upload_interval: int | None = None) -> S3ComputeLogManager:
    """The compute log manager; create and use it in the user's environment."""
    return S3ComputeLogManager(
        bucket=user.bucket, prefix="dagster/compute-logs", local_dir=str(folder), upload_interval=upload_interval
    )


@dataclass(frozen=True)
class CodeLocation:
    """The service that runs the pipeline."""

    pipeline: Pipeline
    output: S3ComputeLogManager


@contextmanager
def code_location(user: User, folder: Path, upload_interval: int | None = None) -> Iterator[CodeLocation]:
    with environment_of(user), pipeline_on(lake_resource(read_settings())) as pipeline:
        yield CodeLocation(pipeline, output_of(user, folder, upload_interval))


Deed = Callable[[CodeLocation], None]
"""A task of the code location."""


def trouble_with(deed: Deed, service: CodeLocation) -> str:
    """The error if it fails, else empty."""
    try:
        deed(service)
    except (GameAnalyticsError, S3UploadFailedError, ClientError) as error:
        return str(error)
    return ""


def _ensure_success(result: dg.ExecuteInProcessResult) -> None:
    if not result.success:
        raise GameAnalyticsError(failure_of(result))


def materialize(service: CodeLocation) -> None:
    _ensure_success(service.pipeline.run(ALL, DAY))


def watch(service: CodeLocation) -> None:
    """A tick of both sensors."""
    service.pipeline.tick()
    service.pipeline.tick(late_events)


def look_whether_the_board_is_fresh(service: CodeLocation) -> None:
    _ensure_success(
        service.pipeline.run(freshness_job.name, config={name: {"day": DAY} for name in freshness_config(DAY)["ops"]})
    )


def show(_service: CodeLocation) -> None:
    """The commands that show a day."""
    day, page = date.fromisoformat(DAY), Console(file=io.StringIO())
    show_board(page, day)
    show_player(page, day, "p00042")
    show_quarantine(page, day, samples=3)


def read_the_quarantine_again(service: CodeLocation) -> None:
    with pipeline_on(service.pipeline.lake_resource, SilentLog()) as without_kafka:
        _ensure_success(without_kafka.run(daily_stats_job.name, DAY, config=REREAD))


def clear_away_after_a_day(service: CodeLocation) -> None:
    """Leftovers of a killed run under the day's prefixes."""
    lake = service.pipeline.lake
    for kind in ("raw", "quarantine"):
        lake.put(f"{kind}/2025_12_30/0-0-9-0123456789ab.parquet", b"left")
    for trouble in clear_leftovers(lake, date.fromisoformat(DAY), datetime.now(UTC) + timedelta(hours=25)):
        raise GameAnalyticsError(trouble)


def keep_output(service: CodeLocation) -> None:
    """Output of a tick, large enough for a multipart upload."""
    with service.output.open_log_stream(["daily", "new_stats_file", "1"], ComputeIOType.STDERR) as stream:
        assert stream is not None
        stream.write("x" * 9_000_000)
