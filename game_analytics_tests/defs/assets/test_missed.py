"""The check `nothing_missed`: it passes if the sensor lands events of other days there, and warns if they would not be
landed."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics_tests.support.harness import days_ago, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import kill


def noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(12), UTC)


def kills_of(day: str, number: int, *late: str) -> ListedLog:
    """A day with this many kills, one for each of the other days among them, and one message after the window."""
    own = [Message(offset, noon(day), kill()) for offset in range(number)]
    others = [
        Message(number + place, noon(day) + timedelta(hours=1), kill("late", ts=noon(other).isoformat()))
        for place, other in enumerate(late)
    ]
    after = Message(number + len(late), noon(day) + timedelta(days=1), kill())
    return ListedLog({0: [*own, *others, after]})


def checked(lake_resource: LakeResource, log: ListedLog, days: Sequence[str]) -> tuple[bool, str]:
    """Land the days in order. Whether the last one's check passes, and its description."""
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        for day in days:
            result = pipeline.run("daily_stats_job", day)
            assert result.success
    (found,) = (each for each in result.get_asset_check_evaluations() if each.check_name == "nothing_missed")
    assert found.severity == dg.AssetCheckSeverity.WARN
    return found.passed, str(found.description)


def test_a_first_day_passes_with_a_few_events_of_the_day_before(
    lake_resource: LakeResource,
) -> None:
    first, before = days_ago(3), days_ago(4)
    passed, says = checked(lake_resource, kills_of(first, 150, before), [first])
    assert passed
    assert says == (
        f"{first}: 1 events of {before}: the sensor late_events has these days landed with them, or has already"
    )


def test_many_events_of_a_day_that_will_be_landed_again_warn_of_a_lag(lake_resource: LakeResource) -> None:
    day, before = days_ago(3), days_ago(4)
    passed, says = checked(lake_resource, kills_of(day, 50, before), [before, day])
    assert not passed
    assert "more than 1 % of the day" in says
    assert "the sensor late_events has these days landed with them, or has already" in says


@pytest.mark.parametrize("other", [days_ago(20), "2031-01-01"])
def test_events_that_will_not_be_landed_warn_with_the_remedy(lake_resource: LakeResource, other: str) -> None:
    day = days_ago(3)
    passed, says = checked(lake_resource, kills_of(day, 500, other), [day])
    assert not passed
    assert says.startswith(f"{day}: 1 events of {other} were not read by those days' landings")
    assert f'materialize raw_events and daily_player_stats with `up_to_landing_of: "{day}"`' in says


def test_a_day_too_long_ago_has_no_other_day_landed_again(lake_resource: LakeResource) -> None:
    """The sensor considers only landings of the last week."""
    day, other = days_ago(11), days_ago(6)
    passed, says = checked(lake_resource, kills_of(day, 500, other), [day])
    assert not passed
    assert says.startswith(f"{day}: 1 events of {other} were not read by those days' landings")


def test_a_day_without_events_of_other_days_passes(lake_resource: LakeResource) -> None:
    day = days_ago(3)
    assert checked(lake_resource, kills_of(day, 5), [day]) == (True, f"{day}: all is well")
