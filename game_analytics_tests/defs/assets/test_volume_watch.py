"""The checks `usual_volume` and `little_quarantined`: they warn and stop nothing."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from game_analytics.definitions import pipeline
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.harness import Pipeline, given_log, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import kill

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST = datetime(2025, 12, 1, tzinfo=UTC)


def with_kills(*per_day: int, garbage_on_the_last: int = 0) -> ListedLog:
    """These numbers of kills at noon of each day from the 1st of December on."""
    messages: list[Message] = []
    for day, kills in enumerate(per_day):
        noon = FIRST + timedelta(days=day, hours=12)
        messages += [Message(len(messages) + place, noon, kill()) for place in range(kills)]
    last = FIRST + timedelta(days=len(per_day) - 1, hours=13)
    messages += [Message(len(messages) + place, last, b"garbage") for place in range(garbage_on_the_last)]
    return ListedLog({0: messages})


def checks_of(result: dg.ExecuteInProcessResult) -> Mapping[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def landed(pipeline: Pipeline, day: str) -> Mapping[str, dg.AssetCheckEvaluation]:
    result = pipeline.run("daily_stats_job", day)
    assert result.success
    return checks_of(result)


@pytest.fixture
def five_days_of_ten(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """Five days of ten kills each are landed; the sixth has four."""
    with pipeline_on(lake_resource, given_log(with_kills(10, 10, 10, 10, 10, 4))) as pipeline:
        assert pipeline.run("daily_stats_job", days=("2025-12-01", "2025-12-05")).success
        yield pipeline


@pytest.mark.trial
def test_days_of_another_lake_are_not_compared_with(
    five_days_of_ten: Pipeline, s3: S3Endpoint, client: "S3Client"
) -> None:
    """As staging and production may share one instance."""
    client.create_bucket(Bucket="another-lake")
    definitions = pipeline(
        given_log(with_kills(10, 10, 10, 10, 10, 4)), lake_at(s3, "another-lake"), PipelineSettings()
    )
    other = Pipeline(definitions, lake_at(s3, "another-lake"), five_days_of_ten.instance)
    assert landed(other, "2025-12-06")["usual_volume"].passed


@pytest.mark.trial
def test_a_day_with_half_as_many_events_as_usual_warns(five_days_of_ten: Pipeline) -> None:
    check = landed(five_days_of_ten, "2025-12-06")["usual_volume"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == (
        "2025-12-06: 4 events were landed, fewer than usual by more than 50%: the median of 5 days before is 10"
    )


@pytest.mark.trial
def test_a_day_with_fewer_than_five_known_days_before_it_passes(five_days_of_ten: Pipeline) -> None:
    assert landed(five_days_of_ten, "2025-12-05")["usual_volume"].passed


@pytest.mark.trial
def test_days_more_than_two_weeks_before_are_not_compared_with(five_days_of_ten: Pipeline) -> None:
    assert landed(five_days_of_ten, "2025-12-19")["usual_volume"].passed  # empty, and sees the 5th alone
    assert not landed(five_days_of_ten, "2025-12-15")["usual_volume"].passed  # empty, and sees the 1st to the 5th


@pytest.mark.trial
def test_a_day_after_four_weeks_is_compared_with_its_weekday(lake_resource: LakeResource) -> None:
    """Mondays have 30 kills, the other days 10. The 1st of December is a Monday, and so is the 29th."""
    busy = [30 if day % 7 == 0 else 10 for day in range(28)]
    with pipeline_on(lake_resource, given_log(with_kills(*busy, 10))) as pipeline:
        result = pipeline.run("daily_stats_job", days=("2025-12-01", "2025-12-29"))
        usual = checks_of(result)["usual_volume"]
        assert str(usual.description).splitlines()[-1] == (
            "2025-12-29: 10 events were landed, fewer than usual by more than 50%: the median of the 4 Mondays before "
            "is 30"
        )
        landed_again = landed(pipeline, "2025-12-29")["usual_volume"]
        assert landed_again.description == str(usual.description).splitlines()[-1]


def test_the_days_of_a_range_are_compared_with_those_before_them_in_the_range(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(with_kills(10, 10, 10, 10, 10, 4))) as pipeline:
        result = pipeline.run("daily_stats_job", days=("2025-12-01", "2025-12-06"))
        check = checks_of(result)["usual_volume"]
        assert not check.passed
        assert str(check.description).startswith("2025-12-06: 4 events were landed, fewer")


@pytest.mark.trial
def test_how_much_is_usual_is_a_setting(lake_resource: LakeResource) -> None:
    settings = PipelineSettings(volume_percent=60)
    with pipeline_on(lake_resource, given_log(with_kills(10, 10, 10, 10, 10, 4)), settings) as pipeline:
        assert pipeline.run("daily_stats_job", days=("2025-12-01", "2025-12-05")).success
        assert landed(pipeline, "2025-12-06")["usual_volume"].passed


def test_more_than_one_in_a_hundred_in_quarantine_warns(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(with_kills(100, garbage_on_the_last=2))) as pipeline:
        check = landed(pipeline, "2025-12-01")["little_quarantined"]
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert check.description == "2025-12-01: 2 of 102 messages could not be read (2.0%, 1% tolerated)"


def test_how_much_quarantine_is_tolerated_is_a_setting(lake_resource: LakeResource) -> None:
    settings = PipelineSettings(quarantine_percent=2)
    with pipeline_on(lake_resource, given_log(with_kills(100, garbage_on_the_last=2)), settings) as pipeline:
        assert landed(pipeline, "2025-12-01")["little_quarantined"].passed
