"""Services that fail, and settings that are wrong: one readable error that names the thing and the next step."""

import socket
import time

import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics_tests.support.harness import ALL, failure_of, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog

DAY = "2025-12-30"


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def lake_elsewhere(endpoint_url: str) -> LakeResource:
    s3 = S3Resource(
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="a-secret-of-theirs",
        max_attempts=2,
    )
    return LakeResource(bucket="game-analytics", s3=s3)


@pytest.mark.parametrize("job", ["daily_stats_job", "leaderboard_job"])
def test_an_s3_that_does_not_answer_fails_the_run_within_seconds(job: str) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    started = time.monotonic()
    with pipeline_on(lake_elsewhere(endpoint)) as pipeline:
        failure = failure_of(pipeline.run(job, DAY))
    assert time.monotonic() - started < 30
    assert f"S3 at {endpoint} does not answer" in failure
    assert "make dev" in failure
    assert "a-secret-of-theirs" not in failure


def test_a_bucket_that_does_not_exist_is_named(lake_on_s3: LakeResource) -> None:
    missing = LakeResource(bucket="nobody-made-it", s3=lake_on_s3.s3)
    with pipeline_on(missing) as pipeline:
        failure = failure_of(pipeline.run(ALL, DAY))
    assert "The bucket nobody-made-it does not exist" in failure
    assert "GAME_ANALYTICS_BUCKET" in failure


def by_a_name_that_is_not_local(local: LakeResource) -> LakeResource:
    """The same lake, under an address of this machine that is not a literal loopback address."""
    s3 = S3Resource(
        endpoint_url=str(local.s3.endpoint_url).replace("127.0.0.1", "0.0.0.0"),  # noqa: S104
        region_name=local.s3.region_name,
        aws_access_key_id=local.s3.aws_access_key_id,
        aws_secret_access_key=local.s3.aws_secret_access_key,
    )
    return LakeResource(bucket=local.bucket, s3=s3)


def test_simulated_events_are_not_written_to_a_remote_lake(lake_on_s3: LakeResource) -> None:
    with pipeline_on(by_a_name_that_is_not_local(lake_on_s3)) as pipeline:
        failure = failure_of(pipeline.run("daily_stats_job", DAY))
        assert "GAME_ANALYTICS_SIMULATION=allow" in failure
        assert "http://0.0.0.0" in failure
        assert pipeline.content() == {}


@pytest.mark.trial
def test_simulated_events_may_go_anywhere_if_allowed(lake_on_s3: LakeResource) -> None:
    elsewhere = by_a_name_that_is_not_local(lake_on_s3)
    with pipeline_on(elsewhere, settings=PipelineSettings(simulate_anywhere=True)) as pipeline:
        assert pipeline.run("daily_stats_job", DAY).success


@pytest.mark.trial
def test_real_events_may_go_anywhere(lake_on_s3: LakeResource) -> None:
    with pipeline_on(by_a_name_that_is_not_local(lake_on_s3), given_log(ListedLog({0: []}))) as pipeline:
        assert pipeline.run("daily_stats_job", DAY).success
