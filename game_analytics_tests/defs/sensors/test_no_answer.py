"""S3 that does not answer, or not as it should: the tick fails with a clear message, and the next one tries again."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.harness import Pipeline
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.ticks import DAY, ann_leads, stats_file, tick


@contextmanager
def nobody_listening() -> Iterator[S3Endpoint]:
    """An address that refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield S3Endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}", "key", "very secret")


def on(pipeline: Pipeline, lake: LakeResource) -> Pipeline:
    """The same instance, with another lake."""
    return replace(pipeline, lake_resource=lake)


def assert_nothing_is_stored(pipeline: Pipeline) -> None:
    assert pipeline.instance.get_runs_count() == 0
    assert pipeline.instance.all_asset_keys() == []


def test_a_tick_without_an_answer_names_the_endpoint_and_the_next_one_tries_again(pipeline: Pipeline) -> None:
    pipeline.put(stats_file(DAY), ann_leads())
    with nobody_listening() as endpoint:
        for evaluate in (tick, Pipeline.tick):
            with pytest.raises(Unavailable, match="does not answer") as failure:
                evaluate(on(pipeline, lake_at(endpoint, "game-analytics")))
            assert f"S3 at {endpoint.url} does not answer" in str(failure.value)
            assert "s3://game-analytics" in str(failure.value)
            assert "make dev" in str(failure.value)
            assert endpoint.secret_access_key not in str(failure.value)
    assert_nothing_is_stored(pipeline)
    assert tick(pipeline).days == [DAY]


def test_a_missing_bucket_is_named_and_used_once_it_exists(pipeline: Pipeline, s3: S3Endpoint) -> None:
    lake = lake_at(s3, f"{pipeline.lake.bucket}-not-yet")
    for evaluate in (tick, Pipeline.tick):
        with pytest.raises(GameAnalyticsError, match="does not exist") as failure:
            evaluate(on(pipeline, lake))
        assert f"The bucket {lake.bucket} does not exist at" in str(failure.value)
        assert s3.url in str(failure.value)
        assert "GAME_ANALYTICS_BUCKET" in str(failure.value)
    assert_nothing_is_stored(pipeline)

    lake.s3.get_client().create_bucket(Bucket=lake.bucket)

    assert tick(on(pipeline, lake)).skipped.startswith("All 0 boards")


@contextmanager
def silence() -> Iterator[S3Endpoint]:
    """A server that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield S3Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}", "key", "very secret")


@pytest.mark.trial
def test_a_silent_s3_fails_the_tick_before_the_daemon_ends_it(pipeline: Pipeline) -> None:
    """The daemon ends a tick after 60 seconds without naming S3, so three attempts of 12 seconds must fit."""
    with ThreadPoolExecutor(1) as thread, silence() as endpoint:
        once = lake_at(endpoint, "game-analytics", max_attempts=1)
        evaluation = thread.submit(Pipeline.tick, on(pipeline, once))
        with pytest.raises(Unavailable, match=f"S3 at {endpoint.url} does not answer"):
            evaluation.result(timeout=18)
    assert_nothing_is_stored(pipeline)
