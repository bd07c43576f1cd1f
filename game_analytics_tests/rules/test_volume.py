"""When a day's volume or quarantine is unusual."""

from datetime import date, timedelta

import pytest

from game_analytics.rules.volume import compared_with, much_quarantined, unusual_volume

TUESDAY = date(2025, 12, 30)
A_WEEK = [100, 90, 110, 95, 105, 1_000, 100]
"""Volumes with median 100 and one outlier."""


def after(landed: int, earlier: list[int], tolerance: float = 0.5) -> str | None:
    """The finding for a Tuesday after days with these numbers of events, the latest first."""
    before = {TUESDAY - timedelta(days=back): events for back, events in enumerate(earlier, 1)}
    return unusual_volume(TUESDAY, {**before, TUESDAY: landed}, tolerance)


@pytest.mark.parametrize("landed", [50, 100, 150])
def test_a_day_near_the_median_is_usual(landed: int) -> None:
    assert after(landed, A_WEEK) is None


def test_a_day_with_too_few_events_says_so() -> None:
    assert after(49, A_WEEK) == (
        "49 events were landed, fewer than usual by more than 50%: the median of 7 days before is 100"
    )


def test_a_day_with_too_many_events_says_so() -> None:
    assert after(151, A_WEEK) == (
        "151 events were landed, more than usual by more than 50%: the median of 7 days before is 100"
    )


def test_the_share_decides() -> None:
    assert after(89, A_WEEK, 0.1) is not None
    assert after(91, A_WEEK, 0.1) is None


def test_with_fewer_than_five_days_there_is_no_finding() -> None:
    assert after(0, [100] * 4) is None
    assert after(0, [100] * 5) is not None


def test_an_empty_day_after_empty_days_is_usual() -> None:
    assert after(0, [0] * 5) is None


def busy_tuesdays(*busy: int) -> dict[date, int]:
    """Four weeks with 100 events per day, except on Tuesdays, the latest first."""
    days = {TUESDAY - timedelta(days=back): 100 for back in range(1, 29)}
    return {**days, **{TUESDAY - timedelta(weeks=back): events for back, events in enumerate(busy, 1)}}


def test_from_four_weeks_on_a_day_is_compared_with_those_of_its_weekday() -> None:
    four_weeks = busy_tuesdays(300, 290, 310, 9_000)  # the median is 305
    assert unusual_volume(TUESDAY, {**four_weeks, TUESDAY: 300}, 0.5) is None
    assert unusual_volume(TUESDAY, {**four_weeks, TUESDAY: 100}, 0.5) == (
        "100 events were landed, fewer than usual by more than 50%: the median of the 4 Tuesdays before is 305"
    )
    sunday = TUESDAY - timedelta(days=2)
    assert unusual_volume(sunday, {**four_weeks, sunday: 300}, 0.5) == (
        "300 events were landed, more than usual by more than 50%: the median of 14 days before is 100"
    )


@pytest.mark.parametrize("weeks", [1, 2, 3, 4])
def test_if_one_of_the_four_is_not_known_the_two_weeks_before_are_compared(weeks: int) -> None:
    three = busy_tuesdays(300, 300, 300, 300)
    del three[TUESDAY - timedelta(weeks=weeks)]
    said = unusual_volume(TUESDAY, {**three, TUESDAY: 300}, 0.5)
    assert said is not None
    assert said.endswith(f"the median of {13 if weeks <= 2 else 14} days before is 100")


def test_a_weekday_five_weeks_before_is_not_compared() -> None:
    old = {TUESDAY - timedelta(weeks=back): 300 for back in (2, 3, 4, 5)}
    assert unusual_volume(TUESDAY, {**old, TUESDAY: 0}, 0.5) is None


def test_two_weeks_and_the_two_weekdays_before_them_are_needed() -> None:
    assert sorted((TUESDAY - day).days for day in compared_with(TUESDAY)) == [*range(1, 15), 21, 28]


def test_one_in_a_hundred_may_be_quarantined() -> None:
    assert much_quarantined(1_000, 10, 0.01) is None
    assert much_quarantined(1_000, 11, 0.01) == "11 of 1,000 messages could not be read (1.1%, 1% tolerated)"


def test_an_empty_day_has_no_share() -> None:
    assert much_quarantined(0, 0, 0.01) is None
