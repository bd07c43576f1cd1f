"""Late events: a later day's landing finds them, their own day is read on to where that one ended, once and for all."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.committed import read_landing
from game_analytics.lake.names import manifest_key
from game_analytics.landing.again import losses_of_landing_again
from game_analytics.landing.day import land_day
from game_analytics.landing.late import Finding, find_late_events
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    NEXT_DAY,
    ONE_HOUR,
    account_of,
    at,
    kill,
    land,
    manifest_bytes,
    read_of,
    standing,
    utc,
)

TWO_DAYS_ON = date(2026, 1, 1)
DAYS = [DAY, NEXT_DAY, TWO_DAYS_ON]
LATER = utc("2026-01-03 06:00")
"""A clock past the windows of all three."""


def with_two_late_ones() -> ListedLog:
    """Two kills of the 30th are delivered on the 31st at three and at four, when the 30th has been landed."""
    return ListedLog(
        {
            0: [
                at(0, "2025-12-30 12:00"),
                at(1, "2025-12-31 03:00", kill("late", ts="2025-12-30T23:59:00Z")),
                at(2, "2025-12-31 04:00", kill("later", ts="2025-12-30T23:59:30Z")),
                at(3, "2025-12-31 12:00"),
                at(4, "2026-01-01 12:00"),
            ]
        }
    )


def land_both(log: EventLog, lake: Lake) -> LandingReport:
    land(log, lake, day=DAY, now=LATER)
    return land(log, lake, day=NEXT_DAY, now=LATER)


def heal(log: EventLog, lake: Lake, day: date = DAY, found_by: date = NEXT_DAY) -> LandingReport:
    return land_day(log, lake, day, LandingOptions(ONE_HOUR, found_by=(found_by,)), clock=lambda: LATER)


def landed_sha256(lake: Lake, day: date) -> str:
    found = read_landing(lake, day)
    assert found is not None
    return found.sha256


def owed_of(lake: Lake, days: Sequence[date]) -> list[Finding]:
    """What is owed, where all manifests can be read."""
    warnings: list[str] = []
    found = find_late_events(lake, days, warnings.append)
    assert warnings == []
    return found


def test_a_manifest_that_can_t_be_read_is_told_and_the_other_days_are_owed_all_the_same(lake: Lake) -> None:
    finder = land_both(with_two_late_ones(), lake)
    lake.put(manifest_key(TWO_DAYS_ON), b'{"version": 99}')
    warnings: list[str] = []
    assert find_late_events(lake, DAYS, warnings.append) == [
        Finding(DAY, NEXT_DAY, 2, finder.sha256, landed_sha256(lake, DAY))
    ]
    (warning,) = warnings
    assert lake.uri(manifest_key(TWO_DAYS_ON)) in warning


def test_what_a_later_landing_has_found_is_owed(lake: Lake) -> None:
    finder = land_both(with_two_late_ones(), lake)
    (finding,) = owed_of(lake, DAYS)
    assert finding == Finding(DAY, NEXT_DAY, 2, finder.sha256, landed_sha256(lake, DAY))
    assert str(finding) == "2 events of 2025-12-30, found by the landing of 2025-12-31"


def test_a_day_read_up_to_the_finder_s_end_holds_its_late_events_and_is_owed_no_more(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    healed = heal(log, lake).manifest
    assert (read_of(healed), healed.window.end) == ((0, 4), utc("2026-01-01 01:00"))
    assert (healed.total()["landed"], healed.total()["other_days"], healed.window_closed) == (3, 1, True)
    assert owed_of(lake, DAYS) == []


def test_a_healed_day_stays_healed_when_it_is_landed_again(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    heal(log, lake)
    first = manifest_bytes(lake)
    land(log, lake, day=DAY, now=LATER)
    assert manifest_bytes(lake) == first


def test_a_finder_that_is_landed_again_misses_nothing_that_was_healed(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    heal(log, lake)
    assert land(log, lake, day=NEXT_DAY, now=LATER).manifest.missed == {}
    assert owed_of(lake, DAYS) == []


def test_events_that_come_later_still_are_another_finding(lake: Lake) -> None:
    log = ListedLog(
        {0: [*with_two_late_ones().partitions[0], at(5, "2026-01-01 13:00", kill(ts="2025-12-30T23:00:00Z"))]}
    )
    land_both(log, lake)
    heal(log, lake)
    finder = land(log, lake, day=TWO_DAYS_ON, now=LATER)
    assert owed_of(lake, DAYS) == [Finding(DAY, TWO_DAYS_ON, 1, finder.sha256, landed_sha256(lake, DAY))]
    assert heal(log, lake, found_by=TWO_DAYS_ON).manifest.total()["landed"] == 4
    assert owed_of(lake, DAYS) == []


def test_a_healed_day_does_not_have_the_days_before_it_landed_once_more(lake: Lake) -> None:
    """It was read over the next day's window now, in which nothing of theirs was found."""
    day_before = date(2025, 12, 29)
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-29 12:00"),
                at(1, "2025-12-30 12:00", kill(ts="2025-12-29T23:00:00Z")),
                at(2, "2025-12-31 12:00", kill(ts="2025-12-30T23:00:00Z")),
            ]
        }
    )
    for day in (day_before, DAY, NEXT_DAY):
        land(log, lake, day=day, now=LATER)
    heal(log, lake, day_before, found_by=DAY)
    heal(log, lake, DAY, found_by=NEXT_DAY)
    assert standing(lake).missed == {}  # the day before has read its late event since
    assert owed_of(lake, [day_before, DAY, NEXT_DAY]) == []


def test_what_lies_behind_a_stamp_of_the_future_is_read_though_time_no_longer_tells(lake: Lake) -> None:
    """The finder read on to its high watermark, since the message at its end was stamped in the future. When that
    moment has come, the look-up by time ends before the late event; the finder's offsets still hold it."""
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-30 12:00"),
                at(1, "2025-12-31 12:00"),
                at(2, "2026-01-01 01:30"),  # sent on the 1st at 01:10 by a clock that is ahead
                at(3, "2026-01-01 00:30", kill("late", ts="2025-12-30T23:59:00Z")),
            ]
        }
    )
    land(log, lake, day=DAY, now=utc("2026-01-01 01:10"))
    land(log, lake, day=NEXT_DAY, now=utc("2026-01-01 01:10"))
    assert read_of(standing(lake, NEXT_DAY)) == (1, 4)
    assert heal(log, lake).manifest.total()["landed"] == 2


def test_a_landing_that_did_not_see_its_whole_window_tells_nothing_yet(lake: Lake) -> None:
    log = with_two_late_ones()
    land(log, lake, day=DAY, now=LATER)
    assert land(log, lake, day=NEXT_DAY, now=utc("2026-01-01 00:30")).manifest.missed == {"2025-12-30": 2}
    assert owed_of(lake, DAYS) == []


def test_a_day_that_was_never_landed_is_landed_first(lake: Lake) -> None:
    land(with_two_late_ones(), lake, day=NEXT_DAY, now=LATER)
    assert owed_of(lake, DAYS) == []


def test_a_day_outside_those_asked_for_is_not_owed(lake: Lake) -> None:
    land_both(with_two_late_ones(), lake)
    assert owed_of(lake, [NEXT_DAY, TWO_DAYS_ON]) == []


def test_a_day_of_another_topic_is_not_mixed_with_this_one(lake: Lake) -> None:
    log = with_two_late_ones()
    land(ListedLog(log.partitions, name="old-events"), lake, day=DAY, now=LATER)
    land(log, lake, day=NEXT_DAY, now=LATER)
    assert owed_of(lake, DAYS) == []


def test_an_event_of_two_days_on_is_owed_by_the_landing_that_read_it_too_early(lake: Lake) -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00", kill(ts="2026-01-01T12:00:00Z")), at(1, "2026-01-01 12:00")]})
    for day in DAYS:
        land(log, lake, day=day, now=LATER)
    assert standing(lake).missed == {"2026-01-01": 1}
    (finding,) = owed_of(lake, DAYS)
    assert (finding.day, finding.found_by, finding.events) == (TWO_DAYS_ON, DAY, 1)
    healed = heal(log, lake, TWO_DAYS_ON, found_by=DAY).manifest
    assert (read_of(healed), healed.total()["landed"]) == ((0, 2), 2)
    assert owed_of(lake, DAYS) == []


def test_an_event_of_the_next_day_is_read_again_by_that_day_s_landing(lake: Lake) -> None:
    log = ListedLog({0: [at(0, "2025-12-30 12:00", kill(ts="2025-12-31T12:00:00Z")), at(1, "2025-12-31 12:00")]})
    assert land(log, lake, day=DAY, now=LATER).manifest.missed == {"2025-12-31": 1}
    landed = land(log, lake, day=NEXT_DAY, now=LATER)
    assert (read_of(landed.manifest), landed.manifest.total()["landed"]) == ((0, 2), 2)
    assert owed_of(lake, DAYS) == []


@pytest.mark.parametrize(
    ("found_by", "says"),
    [
        (DAY, "raw/manifests/2025_12_30.json is no landing of another day than 2025-12-30. Land that day first"),
        (TWO_DAYS_ON, "raw/manifests/2026_01_01.json is no landing of another day than 2025-12-30. Land that day"),
    ],
)
def test_a_finder_that_is_none_is_refused(lake: Lake, found_by: date, says: str) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    before = manifest_bytes(lake)
    with pytest.raises(GameAnalyticsError) as raised:
        heal(log, lake, found_by=found_by)
    assert says in str(raised.value)
    assert manifest_bytes(lake) == before


def test_a_log_that_still_has_the_day_has_lost_nothing_of_it(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    assert losses_of_landing_again(log, lake, DAY, ONE_HOUR, LATER) == []


def test_what_a_log_has_lost_of_a_day_is_said(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    log.low[0] = 1
    (lost,) = losses_of_landing_again(log, lake, DAY, ONE_HOUR, LATER)
    assert lost == "partition 0 has lost offsets 0 to 0 (the first one left is of 2025-12-31T03:00:00Z)"


def test_a_day_landed_from_another_topic_is_lost_to_this_one(lake: Lake) -> None:
    log = with_two_late_ones()
    land_both(log, lake)
    (lost,) = losses_of_landing_again(ListedLog(log.partitions, name="new-events"), lake, DAY, ONE_HOUR, LATER)
    assert lost == (
        "the committed landing was read from game-events, this log is new-events: 1 events of that landing would be "
        "replaced by what this log holds"
    )


def test_what_came_within_the_lateness_allowed_was_never_missed(lake: Lake) -> None:
    log = with_two_late_ones()
    land(log, lake, day=DAY, now=LATER, lateness=timedelta(hours=4, minutes=30))
    land(log, lake, day=NEXT_DAY, now=LATER, lateness=timedelta(hours=4, minutes=30))
    assert account_of(standing(lake)).landed == 3
    assert owed_of(lake, DAYS) == []
