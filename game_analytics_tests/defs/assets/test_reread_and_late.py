"""The run config of `raw_events`: rereading the quarantine, and reading up to the end of a later landing."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.committed import read_landing
from game_analytics_tests.support.harness import REREAD, Pipeline, SilentLog, failure_of, given_log, pipeline_on
from game_analytics_tests.support.landed import put_quarantined_day, quarantine_of_stricter_rules
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, kill

DAY = "2025-12-30"


def without_the_day() -> ListedLog:
    """A log that has dropped the 30th's messages."""
    return ListedLog({0: [at(100, "2026-01-15 12:00")]}, low={0: 100})


def stricter_day(lake_resource: LakeResource) -> LakeResource:
    put_quarantined_day(lake_resource.open(), quarantine_of_stricter_rules())
    return lake_resource


def log_lines(pipeline: Pipeline, result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(entry.user_message for entry in pipeline.instance.all_logs(result.run_id))


def test_a_day_that_the_log_dropped_is_reread_from_quarantine_and_counted(lake_resource: LakeResource) -> None:
    with pipeline_on(stricter_day(lake_resource), given_log(without_the_day())) as pipeline:
        assert pipeline.run("daily_stats_job", DAY, config=REREAD).success
        assert pipeline.recorded("raw_events", DAY, "dagster/row_count") == 2
        assert pipeline.recorded("raw_events", DAY, "quarantined") == 3
        assert "1 of 2025-12-31" in pipeline.recorded("raw_events", DAY, "warnings")
        stats = pipeline.lake.read_parquet("events/2025_12_30_events.parquet")
        assert stats is not None
        assert stats.rows() == [("ann lee", 1, 1)]


def test_a_day_that_the_log_still_holds_must_be_landed_again(lake_resource: LakeResource) -> None:
    log = ListedLog({0: [at(offset, "2025-12-30 12:00") for offset in range(20)]})
    with pipeline_on(stricter_day(lake_resource), given_log(log)) as pipeline:
        before = pipeline.content()
        assert failure_of(pipeline.run("daily_stats_job", DAY, config=REREAD)) == (
            "The topic game-events still holds all of 2025-12-30, so nothing was read again from the quarantine. Land "
            "the day without `reread_quarantine`: that decodes all of its messages with today's rules."
        )
        assert pipeline.content() == before


def test_without_kafka_the_lake_is_enough(lake_resource: LakeResource) -> None:
    with pipeline_on(stricter_day(lake_resource), SilentLog()) as pipeline:
        result = pipeline.run("daily_stats_job", DAY, config=REREAD)
        assert result.success
        assert "so only the lake is read: Kafka at gone:9092 does not answer." in log_lines(pipeline, result)
        assert pipeline.recorded("raw_events", DAY, "dagster/row_count") == 2


def test_a_day_of_another_topic_is_read_from_the_lake(lake_resource: LakeResource) -> None:
    log = ListedLog({0: [at(offset, "2025-12-30 12:00") for offset in range(20)]}, name="new-events")
    with pipeline_on(stricter_day(lake_resource), given_log(log)) as pipeline:
        assert pipeline.run("daily_stats_job", DAY, config=REREAD).success


def test_a_day_that_was_never_landed_says_so(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(without_the_day())) as pipeline:
        assert "was never landed" in failure_of(pipeline.run("daily_stats_job", DAY, config=REREAD))


def test_a_range_reads_each_day_again(lake_resource: LakeResource) -> None:
    """The 31st was never landed: it is named, and the 30th is done."""
    with pipeline_on(stricter_day(lake_resource), given_log(without_the_day())) as pipeline:
        result = pipeline.run("daily_stats_job", days=(DAY, "2025-12-31"), config=REREAD)
        assert "1 of 2 days failed" in failure_of(result)
        assert pipeline.recorded_days("raw_events") == [DAY]


def test_options_for_the_log_exclude_rereading_the_quarantine(lake_resource: LakeResource) -> None:
    with pipeline_on(stricter_day(lake_resource), given_log(without_the_day())) as pipeline:
        config = {"raw_events": {"reread_quarantine": True, "allow_truncated": True}}
        assert "Set one or the other." in failure_of(pipeline.run("daily_stats_job", DAY, config=config))


def test_an_invalid_day_in_the_config_is_named(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource, given_log(without_the_day())) as pipeline:
        config = {"raw_events": {"up_to_landing_of": "tomorrow"}}
        assert failure_of(pipeline.run("daily_stats_job", DAY, config=config)) == (
            "`up_to_landing_of` is 'tomorrow'; a day is expected, as 2025-12-31."
        )


@pytest.mark.trial
def test_a_day_is_read_up_to_the_end_of_a_later_landing(lake_resource: LakeResource) -> None:
    log = ListedLog(
        {0: [at(0, "2025-12-30 12:00"), at(1, "2025-12-31 12:00", kill("late", ts="2025-12-30T23:00:00Z"))]}
    )
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        for day in (DAY, "2025-12-31"):
            assert pipeline.run("daily_stats_job", day).success
        config = {"raw_events": {"up_to_landing_of": "2025-12-31"}}
        assert pipeline.run("daily_stats_job", DAY, config=config).success
        assert pipeline.recorded("daily_player_stats", DAY, "kills") == 2
        found = read_landing(pipeline.lake, date(2025, 12, 30))
        assert found is not None
        assert found.manifest.window.end == datetime(2026, 1, 1, 1, tzinfo=UTC)
