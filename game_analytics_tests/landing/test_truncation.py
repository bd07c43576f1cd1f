"""A day whose window the log no longer holds fails, unless that is allowed. An idle partition is not a truncated
one."""

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import manifest_key
from game_analytics.landing.losses import Truncated
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import (
    DAY_BEFORE,
    NEXT_DAY,
    account_of,
    at,
    land,
    planned,
    read_of,
    spans,
    standing,
    stored,
    utc,
)


def three_days() -> list[Message]:
    return [
        at(0, "2025-12-28 12:00"),
        at(1, "2025-12-29 12:00"),
        at(2, "2025-12-30 00:10"),  # the first of 2025-12-30
        at(3, "2025-12-30 12:00"),
        at(4, "2025-12-30 18:00"),
        at(5, "2025-12-31 02:00"),  # after the window
    ]


def retained_from(low: int, messages: list[Message] | None = None) -> ListedLog:
    """The log of three days once retention has dropped what lies below an offset."""
    return ListedLog({0: three_days() if messages is None else messages}, low={0: low})


def test_a_day_that_lost_messages_fails_naming_what_is_known_of_them() -> None:
    with pytest.raises(Truncated) as error:
        planned(retained_from(3))
    message = str(error.value)
    assert "2025-12-30" in message
    assert "partition 0 has lost offsets before 3" in message
    assert "the first one left is of 2025-12-30T12:00:00Z" in message
    assert "allow_truncated: true" in message


def test_a_log_that_still_holds_something_older_than_the_window_holds_the_window() -> None:
    assert spans(planned(retained_from(1))) == {0: (2, 5)}


def test_a_log_that_never_dropped_anything_is_young_and_not_truncated() -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00")]})
    assert spans(planned(log)) == {0: (0, 1)}


@pytest.mark.parametrize("low", [2, 3])  # at its first message or later: without a manifest both look alike
def test_a_log_that_starts_inside_the_window_may_have_lost_some_of_it(low: int) -> None:
    with pytest.raises(Truncated, match=f"partition 0 has lost offsets before {low}"):
        planned(retained_from(low))


def test_the_day_before_knows_where_the_window_starts_and_that_it_is_whole(lake: Lake) -> None:
    assert account_of(land(retained_from(0), lake, day=DAY_BEFORE).manifest).next_day_first == 2
    assert read_of(land(retained_from(2), lake).manifest) == (2, 5)


def test_the_day_before_knows_where_the_window_starts_and_that_it_is_cut(lake: Lake) -> None:
    # 23:55 belongs to the window too, as do all after it by offset, however they are stamped.
    messages = three_days()
    messages[3] = at(3, "2025-12-29 23:50")
    land(retained_from(0, messages), lake, day=DAY_BEFORE)
    with pytest.raises(Truncated) as error:
        land(retained_from(3, messages), lake)  # a message older than the window is left, and yet one was dropped
    assert "partition 0 has lost offsets 2 to 2" in str(error.value)
    assert "the first one left is of 2025-12-29T23:50:00Z" in str(error.value)


def test_the_day_before_does_not_count_if_it_was_landed_too_early_to_know(lake: Lake) -> None:
    early = land(retained_from(0, three_days()[:1]), lake, day=DAY_BEFORE, now=utc("2025-12-29 06:00"))
    assert account_of(early.manifest).next_day_first == 1  # all there was
    log = ListedLog(
        {0: [*three_days()[:1], at(1, "2025-12-29 12:00"), at(2, "2025-12-29 13:00"), at(3, "2025-12-30 12:00")]},
        low={0: 2},
    )
    assert read_of(land(log, lake).manifest) == (3, 4)


def test_the_day_before_does_not_count_if_it_is_of_another_topic(lake: Lake) -> None:
    rehearsal = retained_from(0)
    rehearsal.name = "rehearsal"
    land(rehearsal, lake, day=DAY_BEFORE)
    with pytest.raises(Truncated, match="offsets before 2"):
        land(retained_from(2), lake)


def test_a_day_that_was_landed_knows_itself_which_offsets_have_gone_since(lake: Lake) -> None:
    messages = [*three_days(), at(6, "2025-12-29 23:50")]  # overtaken: an older one is left whatever is dropped
    land(retained_from(0, messages), lake)
    assert read_of(land(retained_from(1, messages), lake).manifest) == (2, 5)
    with pytest.raises(Truncated, match="partition 0 has lost offsets 2 to 3"):
        land(retained_from(4, messages), lake)


def test_an_idle_partition_is_not_a_truncated_one() -> None:
    log = ListedLog(
        {
            0: [at(0, "2025-12-29 12:00"), at(1, "2025-12-30 12:00")],
            1: [],  # never used
            2: [],  # all it had was dropped long ago
            3: [at(40, "2025-12-29 12:00")],  # nothing came since
        },
        low={2: 50, 3: 40},
    )
    to_read = planned(log)
    assert spans(to_read) == {0: (1, 2), 1: (0, 0), 2: (50, 50), 3: (41, 41)}
    assert to_read.truncated == []


def test_a_log_of_which_nothing_is_left_is_truncated() -> None:
    with pytest.raises(Truncated) as error:
        planned(ListedLog({0: [], 1: []}, low={0: 6}))
    assert "partition 0 has lost offsets before 6 (no message is left)" in str(error.value)
    assert "partition 1" not in str(error.value)


def test_a_log_that_never_held_anything_is_empty_and_not_truncated() -> None:
    assert spans(planned(ListedLog({0: [], 1: []}))) == {0: (0, 0), 1: (0, 0)}


def test_a_log_of_which_nothing_is_left_holds_a_day_that_had_nothing(lake: Lake) -> None:
    messages = [at(0, "2025-12-29 12:00")]
    assert account_of(land(retained_from(0, messages), lake, day=DAY_BEFORE).manifest).next_day_first == 1
    assert read_of(land(ListedLog({0: []}, low={0: 1}), lake).manifest) == (1, 1)


def test_each_truncated_partition_is_named() -> None:
    log = ListedLog({0: three_days(), 1: three_days(), 2: three_days()}, low={0: 3, 1: 1, 2: 4})
    with pytest.raises(Truncated) as error:
        planned(log)
    assert "partition 0 has lost offsets before 3" in str(error.value)
    assert "partition 1" not in str(error.value)
    assert "partition 2 has lost offsets before 4 (the first one left is of 2025-12-30T18:00:00Z)" in str(error.value)


def test_a_truncated_day_leaves_what_stood_and_writes_nothing(lake: Lake) -> None:
    land(retained_from(0), lake)
    before = stored(lake)
    with pytest.raises(Truncated):
        land(retained_from(4), lake)
    assert stored(lake) == before


def test_a_truncated_day_that_was_never_landed_writes_nothing(lake: Lake) -> None:
    with pytest.raises(Truncated):
        land(retained_from(4), lake)
    assert stored(lake) == {}


def test_what_is_left_is_landed_if_that_is_allowed_and_told(lake: Lake) -> None:
    land(retained_from(0), lake)
    landing = land(retained_from(4), lake, allow_truncated=True)
    assert read_of(landing.manifest) == (4, 5)
    assert standing(lake).total()["landed"] == 1
    assert landing.truncated == [
        "partition 0 has lost offsets 2 to 3 (the first one left is of 2025-12-30T18:00:00Z)",
    ]


def test_nothing_is_told_where_it_is_allowed_and_nothing_was_lost(lake: Lake) -> None:
    landing = land(retained_from(1), lake, allow_truncated=True)
    assert (read_of(landing.manifest), landing.truncated) == ((2, 5), [])


def test_a_day_of_which_all_was_lost_lands_empty_if_that_is_allowed(lake: Lake) -> None:
    landing = land(retained_from(5), lake, allow_truncated=True)
    assert read_of(landing.manifest) == (5, 5)
    assert len(landing.truncated) == 1
    assert list(stored(lake)) == [manifest_key(landing.manifest.day)]


def test_a_day_that_was_landed_truncated_is_still_truncated_when_landed_again(lake: Lake) -> None:
    land(retained_from(3), lake, allow_truncated=True)
    with pytest.raises(Truncated):
        land(retained_from(3), lake)
    assert land(retained_from(3), lake, allow_truncated=True).truncated != []


def test_a_day_landed_truncated_to_nothing_does_not_vouch_for_the_next_one(lake: Lake) -> None:
    # All of the 29th has gone, and the beginning of the 30th with it.
    land(retained_from(3), lake, day=DAY_BEFORE, allow_truncated=True)
    with pytest.raises(Truncated):
        land(retained_from(3), lake)


def test_a_day_landed_truncated_of_which_some_is_left_does_vouch_for_the_next_one(lake: Lake) -> None:
    # What is left of the 30th tells where the 31st starts.
    land(retained_from(4), lake, allow_truncated=True)
    now = utc("2026-01-01 06:00")
    assert read_of(land(retained_from(5), lake, day=NEXT_DAY, now=now).manifest) == (5, 6)
    with pytest.raises(Truncated, match="lost offsets 5 to 5"):
        land(retained_from(6, [*three_days(), at(6, "2025-12-31 12:00")]), lake, day=NEXT_DAY, now=now)
