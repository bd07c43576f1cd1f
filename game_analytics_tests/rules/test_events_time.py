"""Event times: the grammar of ``ts``, its limits, and messages without ``ts``."""

import json
from datetime import date, datetime

import pytest

from game_analytics_tests.support.batches import DAY, event_time, fate, fates, kill, kill_with, shown, words
from game_analytics_tests.support.event_samples import (
    bad_number_timestamps,
    bad_timestamps,
    good_number_timestamps,
    good_timestamps,
    utc,
)
from game_analytics_tests.support.reference_decoder import Ignored, OtherDay, Quarantined


@pytest.mark.parametrize(("ts", "expected"), good_timestamps())
def test_an_event_lands_at_the_moment_that_ts_names(ts: str, expected: datetime) -> None:
    [found] = fates([kill(ts=ts)], day=expected.date())
    assert event_time(found) == expected


def test_timestamps_of_every_form_in_one_batch_keep_their_own_moments() -> None:
    of_the_day = [(ts, moment) for ts, moment in good_timestamps() if moment.date() == DAY]
    values = [kill(ts=ts) for ts, _ in of_the_day]
    assert len(values) > 20
    assert [event_time(found) for found in fates(values)] == [moment for _, moment in of_the_day]


@pytest.mark.parametrize("ts", bad_timestamps(), ids=shown)
def test_a_ts_outside_the_contracts_grammar_is_bad(ts: str) -> None:
    assert fate(kill_with(f'"ts":{json.dumps(ts)}')) == "bad_ts"


def test_bad_timestamps_beside_good_ones_leave_those_alone() -> None:
    bad, good = bad_timestamps(), kill(ts="2025-12-30T18:07:12.5Z")
    values = [value for ts in bad for value in (good, kill(ts=ts))]
    assert words(values) == ["landed", "bad_ts"] * len(bad)


@pytest.mark.parametrize(("ts", "expected"), good_number_timestamps(), ids=shown)
def test_a_number_counts_the_time_since_1970_in_the_unit_that_fits(ts: str, expected: datetime) -> None:
    [found] = fates([kill_with(f'"ts":{ts}')], day=expected.date())
    assert event_time(found) == expected


def test_numbers_and_texts_in_one_batch_keep_their_own_moments() -> None:
    numbers = [(ts, moment) for ts, moment in good_number_timestamps() if moment.date() == DAY]
    values = [value for ts, _ in numbers for value in (kill_with(f'"ts":{ts}'), kill(ts="2025-12-30 18:00"), kill())]
    expected = [each for _, moment in numbers for each in (moment, utc(2025, 12, 30, 18), utc(2025, 12, 30, 12))]
    assert [event_time(found) for found in fates(values)] == expected


@pytest.mark.parametrize(
    "ts",
    [
        *bad_number_timestamps(),
        *["true", "false", "[]", '["2025-12-30T18:07:12Z"]', "{}", "[1767117632]", '"1767117632"', "NaN", "-Infinity"],
    ],
    ids=shown,
)
def test_any_other_value_of_ts_is_bad(ts: str) -> None:
    assert fate(kill_with(f'"ts":{ts}')) == "bad_ts"


def test_a_ts_with_escapes_is_read_like_any_other() -> None:
    assert fate(kill_with(r'"ts":"\u0032025-12-30T18:07:12\u005a"')) == "landed"


@pytest.mark.parametrize("clock", ["12:00:00Z", "12:00:00.000Z", "12:00:00.999Z", "12:00:00.000001", "12:00:00+00:00"])
def test_every_day_of_the_calendar_is_accepted_and_no_other(clock: str) -> None:
    days = [(year, month, day) for year in (2023, 2024, 2100) for month in range(14) for day in range(33)]
    found = fates([kill(ts=f"{year}-{month:02}-{day:02}T{clock}") for year, month, day in days], day=DAY)
    taken = [
        date.fromordinal(date(1970, 1, 1).toordinal() + item.days_since_1970)
        for item in found
        if isinstance(item, OtherDay)
    ]
    assert taken == [date(2023, 1, 1), *taken[1:-1], date(2100, 12, 31)]
    assert len(set(taken)) == len(taken) == 365 + 366 + 365
    assert [(day.year, day.month, day.day) for day in taken] == [
        day for day, item in zip(days, found, strict=True) if item != Quarantined("bad_ts")
    ]


@pytest.mark.parametrize("rest", ["", "Z", ".000Z", ".999Z", ".999999999Z", "+00:00"])
def test_every_second_of_the_clock_is_accepted_and_no_other(rest: str) -> None:
    clocks = [(hour, 0, 0) for hour in range(100)] + [(23, minute, 0) for minute in range(100)]
    clocks += [(23, 59, second) for second in range(100)]
    found = words([kill(ts=f"2025-12-30T{hour:02}:{minute:02}:{second:02}{rest}") for hour, minute, second in clocks])
    assert found == [
        "landed" if hour < 24 and minute < 60 and second < 60 else "bad_ts" for hour, minute, second in clocks
    ]


@pytest.mark.parametrize("rest", ["", "Z", ".000Z", ".999Z", ".999999999Z", "+00:00"])
def test_every_year_from_1970_to_9999_is_accepted_and_no_other(rest: str) -> None:
    found = words([kill(ts=f"{year:04}-01-01T00:00:00{rest}") for year in range(10_000)])
    assert found == ["bad_ts"] * 1970 + ["other day"] * 8030


def test_every_millisecond_is_kept() -> None:
    found = fates([kill(ts=f"2025-12-30T23:59:59.{ms:03}Z") for ms in range(1_000)])
    assert [event_time(item) for item in found] == [utc(2025, 12, 30, 23, 59, 59, ms * 1_000) for ms in range(1_000)]


# Without ts: the timestamp of the message


def test_without_ts_an_event_happened_when_the_message_says_to_the_millisecond() -> None:
    absent, null = fates([kill(), kill(ts=None)], [1_767_117_600_123, 1_767_117_600_123])
    assert event_time(absent) == event_time(null) == utc(2025, 12, 30, 18, 0, 0, 123_000)


def test_with_ts_the_timestamp_of_the_message_does_not_matter() -> None:
    delivered = [None, -1, 0, 2**63 - 1, -(2**63), 1_767_117_600_123]
    found = fates([kill(ts="2025-12-30T18:07:12Z")] * len(delivered), delivered)
    assert [event_time(item) for item in found] == [utc(2025, 12, 30, 18, 7, 12)] * len(delivered)


def test_a_bad_ts_is_bad_however_good_the_timestamp_of_the_message() -> None:
    assert fates([kill(ts="")], [1_767_117_600_123]) == [Quarantined("bad_ts")]


@pytest.mark.parametrize(
    "delivered_ms",
    [
        None,  # never set
        -1,  # Kafka's value for no timestamp
        -(2**63),
        2**63 - 1,
        -62_135_596_800_001,  # before the year 1
        253_402_300_800_000,  # the first moment of the year 10000
        # In µs these overflow 64 bits and wrap to a time after 1970.
        18_446_744_073_709_552,
        18_446_744_073_710_000,
        -18_446_742_306_452_000,
    ],
)
def test_a_message_with_neither_ts_nor_a_timestamp_from_1970_to_9999_is_bad(delivered_ms: int | None) -> None:
    assert fates([kill(), kill(ts=None)], [delivered_ms] * 2) == [Quarantined("bad_ts")] * 2


def test_the_first_and_the_last_valid_timestamp_of_a_message() -> None:
    [first] = fates([kill()], [0], day=date(1970, 1, 1))
    [last] = fates([kill()], [253_402_300_799_999], day=date(9999, 12, 31))
    assert event_time(first) == utc(1970, 1, 1)
    assert event_time(last) == utc(9999, 12, 31, 23, 59, 59, 999_000)


def test_a_message_that_is_ignored_needs_no_time() -> None:
    assert fates([kill(event_type="ASSIST")], [None]) == [Ignored()]
