"""Runs over one or many days: records, retries and failure messages."""

from collections.abc import Callable
from datetime import date

import dagster as dg
import pytest

from game_analytics.defs.days import DayReport, Results, materialize_days
from game_analytics.defs.partitions import daily
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics_tests.support.harness import failure_of, instance_in_memory

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")


def run_days(
    work: Callable[[date], DayReport], first: str, last: str, delays: tuple[float, ...] = ()
) -> tuple[dg.ExecuteInProcessResult, dict[str, list[object]]]:
    """Run an asset with this ``work``. Returns the result and each day's recorded values, oldest first."""

    @dg.asset(
        partitions_def=daily,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[dg.AssetCheckSpec("is_well", asset="diary")],
    )
    def diary(context: dg.AssetExecutionContext) -> Results:
        yield from materialize_days(context, work, delays)

    span = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    with instance_in_memory() as instance:
        result = dg.materialize([diary], instance=instance, tags=span, raise_on_error=False)
        recorded: dict[str, list[object]] = {}
        for record in reversed(instance.fetch_materializations(diary.key, limit=100).records):
            assert record.asset_materialization is not None
            value = record.asset_materialization.metadata["value"].value
            recorded.setdefault(str(record.partition_key), []).append(value)
        return result, recorded


def day_of_month(day: date) -> DayReport:
    return DayReport(metadata={"value": day.day}, findings={"is_well": "odd" if day.day % 2 else None})


def test_each_day_has_its_own_metadata() -> None:
    result, recorded = run_days(day_of_month, "2025-12-01", "2025-12-03")
    assert result.success
    assert {day: set(values) for day, values in recorded.items()} == {
        "2025-12-01": {1},
        "2025-12-02": {2},
        "2025-12-03": {3},
    }


def test_a_check_of_a_range_names_its_days() -> None:
    result, _ = run_days(day_of_month, "2025-12-01", "2025-12-03")
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == "2025-12-01: odd\n2025-12-03: odd"
    assert check.metadata["days"].value == "2025-12-01 to 2025-12-03"


def test_a_day_is_recorded_as_it_finishes_and_not_only_at_the_end() -> None:
    def die_on_the_third(day: date) -> DayReport:
        if day.day == 3:
            raise KeyboardInterrupt  # the process is interrupted
        return day_of_month(day)

    result, recorded = run_days(die_on_the_third, "2025-12-01", "2025-12-03")
    assert not result.success
    assert recorded == {"2025-12-01": [1], "2025-12-02": [2]}


def test_a_range_continues_past_failing_days_and_names_them() -> None:
    def fail_on_even_days(day: date) -> DayReport:
        if day.day == 2:
            raise GameAnalyticsError("the second is bad")
        if day.day == 4:
            raise ZeroDivisionError("a bug")
        return day_of_month(day)

    result, recorded = run_days(fail_on_even_days, "2025-12-01", "2025-12-05")
    assert recorded == {"2025-12-01": [1], "2025-12-03": [3], "2025-12-05": [5]}
    failure = failure_of(result)
    assert "2 of 5 days failed" in failure
    assert "2025-12-02: the second is bad" in failure
    assert "2025-12-04: a bug" in failure


def test_a_service_that_answers_again_is_retried_without_a_failure() -> None:
    answers = iter([Unavailable("gone"), Unavailable("still gone"), None])

    def ask(day: date) -> DayReport:
        answer = next(answers)
        if answer is not None:
            raise answer
        return day_of_month(day)

    result, recorded = run_days(ask, "2025-12-02", "2025-12-02", delays=(0, 0))
    assert result.success
    assert recorded == {"2025-12-02": [2]}


def test_a_service_that_stays_away_is_waited_for_once_per_run_not_per_day() -> None:
    asked: list[date] = []

    def ask(day: date) -> DayReport:
        asked.append(day)
        raise Unavailable("S3 does not answer")

    result, _ = run_days(ask, "2025-12-01", "2025-12-03", delays=(0, 0))
    assert [day.day for day in asked] == [1, 1, 1]
    assert "3 of 3 days failed" in failure_of(result)


def test_a_permanent_error_is_not_retried() -> None:
    asked: list[date] = []

    def ask(day: date) -> DayReport:
        asked.append(day)
        raise GameAnalyticsError("the bucket does not exist")

    result, _ = run_days(ask, "2025-12-01", "2025-12-01", delays=(0, 0))
    assert len(asked) == 1
    assert failure_of(result) == "the bucket does not exist"
