"""When an event happened: the grammar of ``ts``, its borders, and what happens where there is no ``ts``."""

import json
from datetime import UTC, date, datetime

import pytest

from game_analytics_tests.support.batches import DAY, event_time, fate, fates, kill, kill_with, shown, words
from game_analytics_tests.support.reference_decoder import Ignored, OtherDay, Quarantined


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, us: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, us, tzinfo=UTC)


def good_timestamps() -> list[tuple[str, datetime]]:
    return [
        ("2025-12-30T18:07:12", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12Z", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12+00:00", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12-00:00", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12.5", utc(2025, 12, 30, 18, 7, 12, 500_000)),
        ("2025-12-30T18:07:12.5Z", utc(2025, 12, 30, 18, 7, 12, 500_000)),
        ("2025-12-30T18:07:12.5+01:00", utc(2025, 12, 30, 17, 7, 12, 500_000)),
        # One to nine digits, truncated and not rounded.
        ("2025-12-30T18:07:12.1Z", utc(2025, 12, 30, 18, 7, 12, 100_000)),
        ("2025-12-30T18:07:12.12Z", utc(2025, 12, 30, 18, 7, 12, 120_000)),
        ("2025-12-30T18:07:12.123Z", utc(2025, 12, 30, 18, 7, 12, 123_000)),
        ("2025-12-30T18:07:12.1234Z", utc(2025, 12, 30, 18, 7, 12, 123_400)),
        ("2025-12-30T18:07:12.12345Z", utc(2025, 12, 30, 18, 7, 12, 123_450)),
        ("2025-12-30T18:07:12.123456Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.1234567Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.12345678Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.123456789Z", utc(2025, 12, 30, 18, 7, 12, 123_456)),
        ("2025-12-30T18:07:12.000000999Z", utc(2025, 12, 30, 18, 7, 12)),
        ("2025-12-30T18:07:12.000001Z", utc(2025, 12, 30, 18, 7, 12, 1)),
        ("2025-12-30T23:59:59.999999999Z", utc(2025, 12, 30, 23, 59, 59, 999_999)),
        ("2025-12-30T18:07:12.000000000", utc(2025, 12, 30, 18, 7, 12)),
        # Offsets, as far as a clock goes.
        ("2025-12-30T18:07:12+05:45", utc(2025, 12, 30, 12, 22, 12)),
        ("2025-12-30T18:07:12-03:30", utc(2025, 12, 30, 21, 37, 12)),
        ("2025-12-30T18:07:12+14:00", utc(2025, 12, 30, 4, 7, 12)),
        ("2025-12-30T23:59:00+23:59", utc(2025, 12, 30)),
        ("2025-12-30T00:00:00-23:59", utc(2025, 12, 30, 23, 59)),
        ("2025-12-31T00:00:00+00:01", utc(2025, 12, 30, 23, 59)),
        ("2026-01-01T01:00:00+01:30", utc(2025, 12, 31, 23, 30)),  # over the turn of the year
        # Leap days.
        ("2024-02-29T12:00:00Z", utc(2024, 2, 29, 12)),
        ("2000-02-29T12:00:00Z", utc(2000, 2, 29, 12)),
        ("2024-03-01T00:30:00+01:00", utc(2024, 2, 29, 23, 30)),
        # The first and the last moments.
        ("1970-01-01T00:00:00Z", utc(1970, 1, 1)),
        ("1970-01-01T00:00:00.000000999Z", utc(1970, 1, 1)),
        ("1970-01-01T00:00:00-01:00", utc(1970, 1, 1, 1)),
        ("1970-01-01T01:00:00+01:00", utc(1970, 1, 1)),
        ("9999-12-31T23:59:59.999999999Z", utc(9999, 12, 31, 23, 59, 59, 999_999)),
        ("9999-12-31T23:59:59+00:01", utc(9999, 12, 31, 23, 58, 59)),
        # Times that a summer time leaves out or a leap second made longer are times like any others.
        ("2025-03-30T02:30:00Z", utc(2025, 3, 30, 2, 30)),
        ("2016-12-31T23:59:59.9Z", utc(2016, 12, 31, 23, 59, 59, 900_000)),
    ]


@pytest.mark.parametrize(("ts", "expected"), good_timestamps())
def test_an_event_lands_at_the_moment_that_ts_names(ts: str, expected: datetime) -> None:
    [found] = fates([kill(ts=ts)], day=expected.date())
    assert event_time(found) == expected


def test_timestamps_of_every_form_in_one_batch_keep_their_own_moments() -> None:
    of_the_day = [(ts, moment) for ts, moment in good_timestamps() if moment.date() == DAY]
    values = [kill(ts=ts) for ts, _ in of_the_day]
    assert len(values) > 20
    assert [event_time(found) for found in fates(values)] == [moment for _, moment in of_the_day]


def bad_timestamps() -> list[str]:
    return [
        "",
        " ",
        "yesterday",
        "1767117600",
        "2025-12-30",
        "18:07:12",
        # No such day.
        "2025-02-30T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",  # no leap year
        "2025-04-31T12:00:00Z",
        "2025-12-32T12:00:00Z",
        "2025-12-00T12:00:00Z",
        "2025-13-01T12:00:00Z",
        "2025-00-01T12:00:00Z",
        # No such time.
        "2025-12-30T24:00:00Z",
        "2025-12-30T25:00:00Z",
        "2025-12-30T18:60:00Z",
        "2016-12-31T23:59:60Z",  # there was such a second, but there is no place for it in a timestamp
        "2025-12-30T18:07:61Z",
        # Years.
        "1969-12-31T23:59:59Z",
        "1969-12-31T23:59:59.999999999Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "+2025-12-30T18:07:12Z",
        "-2025-12-30T18:07:12Z",
        "25-12-30T18:07:12Z",
        "02025-12-30T18:07:12Z",
        # A good year as written that is none in UTC, and the other way round.
        "1970-01-01T00:30:00+01:00",
        "1970-01-01T00:59:59.999999999+01:00",
        "9999-12-31T23:30:00-01:00",
        "1969-12-31T23:30:00-01:00",
        # Digits too few or too many.
        "2025-12-30T18:07:12.Z",
        "2025-12-30T18:07:12.",
        "2025-12-30T18:07:12.1234567890Z",
        "2025-1-30T18:07:12Z",
        "2025-12-3T18:07:12Z",
        "2025-12-30T8:07:12Z",
        "2025-12-30T18:7:12Z",
        "2025-12-30T18:07:1Z",
        "2025-12-30T18:07Z",
        "2025-12-30T18Z",
        "20251230T180712Z",
        # Other signs.
        "2025-12-30t18:07:12Z",
        "2025-12-30T18:07:12z",
        "2025-12-30 18:07:12Z",
        "2025-12-30_18:07:12Z",
        "2025-12-3018:07:12Z",
        "2025/12/30T18:07:12Z",
        "2025-12-30T18.07.12Z",
        "2025-12-30T18:07:12,5Z",
        "2025-12-30T18:07:12.5.5Z",
        "2025-12-30T18:07:12.-5Z",
        "2025-12-30T18:07:12.+5Z",
        "2025-12-30T18:07: 2Z",
        "2025-12-30T18:07:+2Z",
        "30.12.2025 18:07",
        "Tue, 30 Dec 2025 18:07:12 GMT",
        # Offsets.
        "2025-12-30T18:07:12+24:00",
        "2025-12-30T18:07:12-24:00",
        "2025-12-30T18:07:12+99:00",
        "2025-12-30T18:07:12+01:60",
        "2025-12-30T18:07:12+0100",
        "2025-12-30T18:07:12+01",
        "2025-12-30T18:07:12+1:00",
        "2025-12-30T18:07:12+01:00:00",
        "2025-12-30T18:07:12 +01:00",
        "2025-12-30T18:07:12+01:00Z",
        "2025-12-30T18:07:12Z+01:00",
        "2025-12-30T18:07:12ZZ",
        "2025-12-30T18:07:12\u221201:00",  # a minus sign, but no hyphen
        "2025-12-30T18:07:12±01:00",
        "2025-12-30T18:07:12UTC",
        "2025-12-30T18:07:12[Europe/Berlin]",
        # As near as can be to the form that most programs write.
        "2025-12-30T18:07:12.12 Z",
        "2025-12-30T18:07:12. 12Z",
        "2025-12-30T18:07:12.+12Z",
        "2025-12-30T18:07:12.1\uff12Z",
        "2025-12-30T18:07:12.123z",
        "2025-12-30T18:07:12,123Z",
        "2025-12-30T18:07:12:123Z",
        "2025-12-30T18:07:12.123 ",
        "2025-12-30T18:07:12.123ZZ",
        "2025-12-30T18:07:12.123Z\n",
        "2025-12-30T18:07:12.123Z\x00",
        "2025-12-30 18:07:12.123Z",
        "2025-12-3018:07:12.1234Z",
        "2025-12-30T18:07:60.123Z",
        "2025-12-30T24:00:00.000Z",
        "2025-02-30T12:00:00.000Z",
        "2025-00-30T12:00:00.000Z",
        "2025-12-00T12:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        # Something around it.
        " 2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z ",
        "2025-12-30T18:07:12Z\n",
        "2025-12-30T18:07:12\n",
        "\n2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z\n2025-12-30T18:07:12Z",
        "2025-12-30T18:07:12Z\x00",
        "2025-12-30T18:07:12\u2028",
        "\ufeff2025-12-30T18:07:12Z",
        # Digits of other scripts.
        "\uff12\uff10\uff12\uff15-12-30T18:07:12Z",
        "2025-12-30T18:07:1\uff12Z",
        "2025-12-30T18:07:12.\uff15Z",
        "2025-12-30T18:07:12+\uff101:00",
        "\u0662\u0660\u0662\u0665-\u0661\u0662-\u0663\u0660T18:07:12Z",
        # Words that some parsers take.
        "now",
        "today",
        "infinity",
        "2025-W53-2T18:07:12Z",
        "2025-364T18:07:12Z",
        "%Y-%m-%dT%H:%M:%S",
    ]


@pytest.mark.parametrize("ts", bad_timestamps(), ids=shown)
def test_a_ts_that_is_no_timestamp_of_the_contract_is_bad(ts: str) -> None:
    assert fate(kill_with(f'"ts":{json.dumps(ts)}')) == "bad_ts"


def test_bad_timestamps_beside_good_ones_leave_those_alone() -> None:
    bad, good = bad_timestamps(), kill(ts="2025-12-30T18:07:12.5Z")
    values = [value for ts in bad for value in (good, kill(ts=ts))]
    assert words(values) == ["landed", "bad_ts"] * len(bad)


@pytest.mark.parametrize(
    "ts", ["1767117600", "1767117600.5", "0", "1e999", "true", "false", "[]", '["2025-12-30T18:07:12Z"]', "{}"]
)
def test_a_ts_that_is_no_string_is_bad(ts: str) -> None:
    assert fate(kill_with(f'"ts":{ts}')) == "bad_ts"


def test_a_ts_with_escapes_is_read_like_any_other() -> None:
    assert fate(kill_with(r'"ts":"\u0032025-12-30T18:07:12\u005a"')) == "landed"


@pytest.mark.parametrize("clock", ["12:00:00Z", "12:00:00.000Z", "12:00:00.999Z", "12:00:00.000001", "12:00:00+00:00"])
def test_every_day_of_the_calendar_is_taken_and_no_other(clock: str) -> None:
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
def test_every_second_of_the_clock_is_taken_and_no_other(rest: str) -> None:
    clocks = [(hour, 0, 0) for hour in range(100)] + [(23, minute, 0) for minute in range(100)]
    clocks += [(23, 59, second) for second in range(100)]
    found = words([kill(ts=f"2025-12-30T{hour:02}:{minute:02}:{second:02}{rest}") for hour, minute, second in clocks])
    assert found == [
        "landed" if hour < 24 and minute < 60 and second < 60 else "bad_ts" for hour, minute, second in clocks
    ]


@pytest.mark.parametrize("rest", ["", "Z", ".000Z", ".999Z", ".999999999Z", "+00:00"])
def test_every_year_from_1970_to_9999_is_taken_and_no_other(rest: str) -> None:
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
        -1,  # as Kafka says that there is none
        -(2**63),
        2**63 - 1,
        -62_135_596_800_001,  # before the year 1
        253_402_300_800_000,  # the first moment of the year 10000
        # In µs these overflow 64 bits and come round to some moment after 1970.
        18_446_744_073_709_552,
        18_446_744_073_710_000,
        -18_446_742_306_452_000,
    ],
)
def test_a_message_with_neither_ts_nor_a_timestamp_from_1970_to_9999_is_bad(delivered_ms: int | None) -> None:
    assert fates([kill(), kill(ts=None)], [delivered_ms] * 2) == [Quarantined("bad_ts")] * 2


def test_the_first_and_the_last_timestamp_of_a_message_that_will_do() -> None:
    [first] = fates([kill()], [0], day=date(1970, 1, 1))
    [last] = fates([kill()], [253_402_300_799_999], day=date(9999, 12, 31))
    assert event_time(first) == utc(1970, 1, 1)
    assert event_time(last) == utc(9999, 12, 31, 23, 59, 59, 999_000)


def test_a_message_that_is_ignored_needs_no_time() -> None:
    assert fates([kill(event_type="ASSIST")], [None]) == [Ignored()]
