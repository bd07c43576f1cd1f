"""A message stamped in the future must not cut a day short, and what was healed stays healed."""

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics_tests.support.faulty_logs import off_the_calendar
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    account_of,
    at,
    kill,
    land,
    manifest_bytes,
    planned,
    read_of,
    spans,
    utc,
)

CLOCK = utc("2025-12-31 06:00")


def with_one_stamped(stamp: str) -> ListedLog:
    """Two partitions alike, but in one of them a producer's clock was wrong at noon."""
    return ListedLog(
        {
            0: [
                at(0, "2025-12-30 10:00"),
                at(1, stamp),  # delivered at noon
                at(2, "2025-12-30 15:00"),
                at(3, "2025-12-31 02:00"),  # after the window
            ],
            1: [at(0, "2025-12-30 10:00"), at(1, "2025-12-30 15:00"), at(2, "2025-12-31 02:00")],
        }
    )


def test_a_message_from_the_future_does_not_hide_what_came_after_it() -> None:
    to_read = planned(with_one_stamped("2025-12-31 09:30"), now=CLOCK)
    assert spans(to_read) == {0: (0, 4), 1: (0, 2)}
    assert to_read.window_closed
    [warning] = to_read.warnings
    assert "partition 0, offset 1 is stamped 2025-12-31T09:30:00Z" in warning
    assert "high watermark 4" in warning


def test_nor_does_one_stamped_far_past_the_window_when_the_clock_has_come_there() -> None:
    to_read = planned(with_one_stamped("2026-01-20 12:00"), now=utc("2026-02-01 06:00"))
    assert spans(to_read) == {0: (0, 4), 1: (0, 2)}
    [warning] = to_read.warnings
    assert "partition 0, offset 1 is stamped 2026-01-20T12:00:00Z" in warning


@pytest.mark.parametrize(
    ("stamp", "end"),
    [
        ("2025-12-31 20:00", 1),  # an ordinary message of the next day, as far as anyone can tell
        ("2026-01-01 01:00:00.000", 1),  # a day past the window's end, and not more
        ("2026-01-01 01:00:00.001", 4),
    ],
)
def test_more_than_a_day_past_the_end_is_far(stamp: str, end: int) -> None:
    to_read = planned(with_one_stamped(stamp), now=utc("2026-02-01 06:00"))
    assert spans(to_read)[0] == (0, end)
    assert bool(to_read.warnings) is (end == 4)


@pytest.mark.parametrize(
    ("stamp", "end"),
    [
        ("2025-12-31 06:00:00.000", 1),  # at the clock is not after it
        ("2025-12-31 06:00:00.001", 4),
    ],
)
def test_what_lies_after_the_clock_is_in_the_future(stamp: str, end: int) -> None:
    assert spans(planned(with_one_stamped(stamp), now=CLOCK))[0] == (0, end)


@pytest.mark.parametrize("stamp", [2**63 - 1, 253_402_300_800_000])  # Kafka's last millisecond, and 10000-01-01
def test_timestamps_beyond_the_calendar_are_healed_and_told_as_numbers(lake: Lake, stamp: int) -> None:
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-30 10:00"),
                # Says itself when it happened, so it counts whatever its stamp is.
                off_the_calendar(1, stamp, kill("ben", ts="2025-12-30T12:00:00Z")),
                # Happened when it was delivered, and that is no moment.
                off_the_calendar(2, stamp, kill("cat")),
                at(3, "2025-12-30 15:00"),
            ]
        }
    )
    landing = land(log, lake, now=CLOCK)
    [warning] = landing.warnings
    assert f"partition 0, offset 1 is stamped {stamp} ms" in warning
    account = account_of(landing.manifest)
    assert (account.first, account.end, account.landed, account.quarantined) == (0, 4, 3, 1)
    assert landing.reasons == {"bad_ts": 1}


def test_a_healed_end_stays_healed_when_the_clock_has_passed_the_stamp(lake: Lake) -> None:
    log = with_one_stamped("2025-12-31 20:00")
    land(log, lake, now=CLOCK)
    first = manifest_bytes(lake)
    again = land(log, lake, now=utc("2026-01-05 06:00"))  # by itself this one would end at offset 1
    assert read_of(again.manifest) == (0, 4)
    assert manifest_bytes(lake) == first


def test_a_message_from_the_future_before_the_day_makes_it_read_more_and_lose_nothing() -> None:
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-28 12:00"),
                at(1, "2030-01-01 00:00"),  # hides where the day starts
                at(2, "2025-12-28 13:00"),
                at(3, "2025-12-30 12:00"),
            ]
        }
    )
    to_read = planned(log, now=CLOCK)
    assert spans(to_read) == {0: (1, 4)}
    assert "partition 0, offset 1 is stamped 2030-01-01T00:00:00Z" in to_read.warnings[0]


def test_an_event_whose_stamp_is_ahead_lands_in_its_own_day(lake: Lake) -> None:
    log = ListedLog({0: [at(0, "2026-03-01 00:00", kill(ts="2025-12-30T12:00:00Z"))]})
    # The window starts at the first message stamped at or after it: the one that is stamped ahead.
    landing = land(log, lake, now=CLOCK)
    assert account_of(landing.manifest).landed == 1
    assert len(landing.warnings) == 1
