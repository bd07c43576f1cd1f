"""When a day's volume or its quarantine is worth a person's look."""

import pytest

from game_analytics.rules.volume import much_quarantined, unusual_volume

A_WEEK = [100, 90, 110, 95, 105, 1_000, 100]
"""The median is 100; one day was wild."""


@pytest.mark.parametrize("landed", [50, 100, 150])
def test_a_day_near_the_median_is_usual(landed: int) -> None:
    assert unusual_volume(landed, A_WEEK, 0.5) is None


def test_a_day_with_too_few_events_says_so() -> None:
    assert unusual_volume(49, A_WEEK, 0.5) == (
        "49 events were landed, fewer than usual by more than 50%: the median of 7 days before is 100"
    )


def test_a_day_with_too_many_events_says_so() -> None:
    assert unusual_volume(151, A_WEEK, 0.5) == (
        "151 events were landed, more than usual by more than 50%: the median of 7 days before is 100"
    )


def test_the_share_decides() -> None:
    assert unusual_volume(89, A_WEEK, 0.1) is not None
    assert unusual_volume(91, A_WEEK, 0.1) is None


def test_with_fewer_than_five_days_nothing_is_said() -> None:
    assert unusual_volume(0, [100] * 4, 0.5) is None
    assert unusual_volume(0, [100] * 5, 0.5) is not None


def test_an_empty_day_after_empty_days_is_usual() -> None:
    assert unusual_volume(0, [0] * 5, 0.5) is None


def test_one_in_a_hundred_may_be_quarantined() -> None:
    assert much_quarantined(1_000, 10, 0.01) is None
    assert much_quarantined(1_000, 11, 0.01) == "11 of 1,000 messages could not be read (1.1%, 1% tolerated)"


def test_an_empty_day_has_no_share() -> None:
    assert much_quarantined(0, 0, 0.01) is None
