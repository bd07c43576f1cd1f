"""Where a day lies in the log: lead, lateness, watermarks, open transactions, and when its window is closed."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.landing.offsets import Offsets
from game_analytics.landing.plan import Range
from game_analytics.rules.days import Window
from game_analytics.sources.event_log import Found
from game_analytics_tests.support.faulty_logs import GrowsWhileLookedUp, GrowsWhileRead
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    MORNING_AFTER,
    at,
    land,
    planned,
    read_of,
    spans,
    utc,
)


def around_the_day() -> ListedLog:
    """One partition with a message on either side of each edge of the window of 2025-12-30."""
    return ListedLog(
        {
            0: [
                at(0, "2025-12-29 23:54:59.999"),  # just before the lead
                at(1, "2025-12-29 23:55:00.000"),  # the first of the window
                at(2, "2025-12-30 12:00"),
                at(3, "2025-12-30 23:54:59.999"),
                at(4, "2025-12-30 23:55:00.000"),  # here the next day's window starts
                at(5, "2025-12-31 00:59:59.999"),  # the last that may be late
                at(6, "2025-12-31 01:00:00.000"),  # too late
            ]
        }
    )


def test_a_window_runs_from_five_minutes_before_the_day_to_its_lateness_after_it() -> None:
    to_read = planned(around_the_day())
    assert to_read.window == Window(utc("2025-12-29 23:55"), utc("2025-12-31 01:00"))
    assert to_read.ranges == [Range(partition=0, first=1, end=6, next_day_first=4, own=Offsets(1, 6))]
    assert (to_read.warnings, to_read.truncated) == ([], [])


@pytest.mark.parametrize(
    ("minutes", "window_end", "end"),
    [
        (0, "2025-12-31 00:00", 5),
        (59, "2025-12-31 00:59", 5),
        (61, "2025-12-31 01:01", 7),
    ],
)
def test_the_lateness_is_configured(minutes: int, window_end: str, end: int) -> None:
    to_read = planned(around_the_day(), lateness=timedelta(minutes=minutes))
    assert to_read.window.end == utc(window_end)
    assert spans(to_read) == {0: (1, end)}


def test_where_nothing_is_left_after_the_window_it_ends_at_the_high_watermark() -> None:
    # The last three offsets hold no message: markers of transactions.
    log = ListedLog({0: [at(0, "2025-12-29 12:00"), at(1, "2025-12-30 12:00")]}, high={0: 5})
    assert planned(log).ranges == [Range(partition=0, first=1, end=5, next_day_first=5, own=Offsets(1, 5))]


def test_where_nothing_was_delivered_since_the_start_the_range_is_empty() -> None:
    log = ListedLog({0: [at(0, "2025-12-28 12:00")]})
    assert planned(log).ranges == [Range(partition=0, first=1, end=1, next_day_first=1, own=Offsets(1, 1))]


def test_offsets_without_a_message_at_the_edges_belong_to_the_side_before() -> None:
    # Compaction took 1 to 3 and 5 to 8. What is found is the first message left, at or after each instant.
    log = ListedLog({0: [at(0, "2025-12-29 12:00"), at(4, "2025-12-30 12:00"), at(9, "2025-12-31 02:00")]})
    assert spans(planned(log)) == {0: (4, 9)}


def test_each_partition_has_its_own_offsets() -> None:
    log = ListedLog(
        {
            7: [at(0, "2025-12-30 01:00"), at(1, "2025-12-31 02:00")],
            0: [at(0, "2025-12-29 01:00"), at(1, "2025-12-30 01:00"), at(2, "2025-12-30 02:00")],
            3: [],  # never used
        }
    )
    to_read = planned(log)
    assert spans(to_read) == {0: (1, 3), 3: (0, 0), 7: (0, 1)}
    assert [span.partition for span in to_read.ranges] == [0, 3, 7]


def test_messages_stamped_out_of_order_may_widen_a_window_but_never_narrow_its_start() -> None:
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-29 12:00"),
                at(1, "2025-12-30 00:10"),  # a batch that overtook the one below
                at(2, "2025-12-29 23:50"),
                at(3, "2025-12-30 00:11"),
            ]
        }
    )
    assert spans(planned(log)) == {0: (1, 4)}


def test_what_arrives_while_a_day_is_read_is_not_read_and_the_watermarks_are_asked_for_once(lake: Lake) -> None:
    now = utc("2025-12-30 18:00")
    log = GrowsWhileRead({0: [at(0, "2025-12-30 12:00")], 1: [at(0, "2025-12-30 12:00")]})
    manifest = land(log, lake, now=now).manifest
    assert log.asked == 1
    assert [len(messages) for messages in log.partitions.values()] == [2, 2]  # both grew
    assert (read_of(manifest, 0), read_of(manifest, 1)) == ((0, 1), (0, 1))
    assert manifest.total()["landed"] == 2


def test_what_arrives_between_the_watermarks_and_the_look_ups_is_not_read_and_not_taken_for_held_back() -> None:
    log = GrowsWhileLookedUp(
        {0: [at(0, "2025-12-29 12:00"), at(1, "2025-12-30 12:00")]},
        arriving=[at(2, "2025-12-31 00:59"), at(3, "2025-12-31 01:00")],
    )
    to_read = planned(log)
    assert to_read.ranges == [Range(partition=0, first=1, end=2, next_day_first=2, own=Offsets(1, 2))]
    assert (to_read.warnings, to_read.window_closed) == ([], True)


@pytest.mark.parametrize(
    ("now", "is_closed"),
    [
        ("2025-12-30 18:00", False),
        ("2025-12-31 00:30", False),  # the day is over, but what is late may still come
        ("2025-12-31 00:59:59.999999", False),
        ("2025-12-31 01:00:00.000001", True),
    ],
)
def test_a_window_is_closed_once_the_clock_is_past_its_end(now: str, is_closed: bool) -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00")]})
    assert planned(log, now=utc(now)).window_closed is is_closed


def test_an_open_transaction_holds_reading_back_and_the_window_open() -> None:
    log = around_the_day()
    log.stable = {0: 3}
    to_read = planned(log)
    assert spans(to_read) == {0: (1, 3)}
    assert not to_read.window_closed
    [warning] = to_read.warnings
    assert "partition 0" in warning
    assert "offset 3 instead of 6" in warning
    assert "open transaction" in warning


def test_a_transaction_that_opened_after_the_window_holds_nothing_back() -> None:
    log = around_the_day()
    log.stable = {0: 6}
    to_read = planned(log)
    assert spans(to_read) == {0: (1, 6)}
    assert to_read.window_closed
    assert to_read.warnings == []


def test_a_transaction_that_is_open_since_before_the_window_leaves_nothing_to_read() -> None:
    log = ListedLog({0: [*around_the_day().partitions[0]], 1: [at(0, "2025-12-30 12:00")]}, stable={0: 0})
    to_read = planned(log)
    assert spans(to_read) == {0: (0, 0), 1: (0, 1)}
    assert not to_read.window_closed


def test_once_the_transaction_ended_the_rest_is_landed(lake: Lake) -> None:
    log = around_the_day()
    log.stable = {0: 3}
    held_back = land(log, lake)
    assert (read_of(held_back.manifest), held_back.manifest.window_closed) == ((1, 3), False)
    assert len(held_back.warnings) == 1

    log.stable = {}
    whole = land(log, lake)
    assert (read_of(whole.manifest), whole.manifest.window_closed) == ((1, 6), True)
    assert whole.warnings == []


def test_a_day_landed_too_early_is_completed_by_landing_it_again(lake: Lake) -> None:
    now = utc("2025-12-30 12:30")
    early = land(ListedLog({0: list(around_the_day().partitions[0])[:3]}), lake, now=now).manifest
    assert (read_of(early), early.window_closed) == ((1, 3), False)
    whole = land(around_the_day(), lake, now=MORNING_AFTER).manifest
    assert (read_of(whole), whole.window_closed) == ((1, 6), True)


# -- look-ups by time that find nothing --------------------------------------------------------------------------------


class AnswersNoLookUp(ListedLog):
    """A server that has no time index, or messages without timestamps."""

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        return dict.fromkeys(super().first_at_or_after(instant))


def test_messages_that_no_look_up_finds_are_an_error_and_no_empty_day(lake: Lake) -> None:
    log = AnswersNoLookUp({0: [], 7: [at(3, "2025-12-30 12:00")]})
    with pytest.raises(GameAnalyticsError) as error:
        land(log, lake)
    assert str(error.value).startswith("Partition 7 of game-events holds a message at offset 3, but a look-up by time")
    assert list(lake.listing("")) == []


def test_a_topic_without_a_message_lands_empty_though_no_look_up_finds_any(lake: Lake) -> None:
    """Its offsets were markers of transactions."""
    landing = land(AnswersNoLookUp({0: []}, high={0: 2}), lake)
    assert landing.manifest.total()["read"] == 0
