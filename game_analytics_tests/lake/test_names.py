"""The names of the lake: from a day to its keys, and from a key back to its day."""

from datetime import date, timedelta

import pytest

from game_analytics.lake.names import (
    board_key,
    day_of_board_key,
    day_of_stats_key,
    day_prefix,
    day_token,
    manifest_key,
    slice_key,
    stats_key,
)
from game_analytics.rules.days import FIRST_DAY

DAY = date(2025, 12, 30)
EARLY = date(2024, 1, 2)
"""Month and day of one digit each."""


def test_the_keys_of_a_day_are_those_of_the_contract() -> None:
    assert day_token(DAY) == "2025_12_30"
    assert day_prefix("raw", DAY) == "raw/2025_12_30/"
    assert day_prefix("quarantine", DAY) == "quarantine/2025_12_30/"
    assert manifest_key(DAY) == "raw/manifests/2025_12_30.json"
    assert stats_key(DAY) == "events/2025_12_30_events.parquet"
    assert board_key(DAY) == "leaderboard/2025_12_30_top10.parquet"


def test_months_and_days_have_two_digits() -> None:
    assert manifest_key(EARLY) == "raw/manifests/2024_01_02.json"
    assert stats_key(EARLY) == "events/2024_01_02_events.parquet"
    assert board_key(EARLY) == "leaderboard/2024_01_02_top10.parquet"


def test_a_slice_is_named_by_its_place_and_the_first_12_digits_of_its_content() -> None:
    sha256_hex = "0123456789abcdef" * 4
    assert slice_key("raw", DAY, 3, 0, 250_000, sha256_hex) == "raw/2025_12_30/3-0-250000-0123456789ab.parquet"
    assert slice_key("quarantine", DAY, 0, 7, 8, sha256_hex) == "quarantine/2025_12_30/0-7-8-0123456789ab.parquet"


def test_the_first_partition_is_the_first_of_january_2024() -> None:
    assert date(2024, 1, 1) == FIRST_DAY


def test_every_day_is_found_again_from_its_stats_key() -> None:
    days = [date(2023, 12, 1) + timedelta(days=number) for number in range(5 * 366)]
    assert [day_of_stats_key(stats_key(day)) for day in days] == days


@pytest.mark.parametrize(
    ("key", "day"),
    [
        ("events/2025_12_30_events.parquet", date(2025, 12, 30)),
        ("events/2024_02_29_events.parquet", date(2024, 2, 29)),
        ("events/2000_02_29_events.parquet", date(2000, 2, 29)),
        ("events/1999_12_31_events.parquet", date(1999, 12, 31)),  # no partition, but a day
        ("events/9999_12_31_events.parquet", date(9999, 12, 31)),
    ],
)
def test_a_stats_key_tells_its_day(key: str, day: date) -> None:
    assert day_of_stats_key(key) == day


@pytest.mark.parametrize(
    "key",
    [
        # No day of the calendar.
        "events/2025_02_30_events.parquet",
        "events/2025_02_29_events.parquet",
        "events/2100_02_29_events.parquet",
        "events/2025_04_31_events.parquet",
        "events/2025_00_10_events.parquet",
        "events/2025_13_10_events.parquet",
        "events/2025_12_00_events.parquet",
        "events/2025_12_32_events.parquet",
        "events/0000_01_01_events.parquet",
        # Other names.
        "",
        "events/",
        "events/_events.parquet",
        "events/2025_12_30.parquet",
        "events/2025_12_30_events.csv",
        "events/2025_12_30_events.parquet.tmp",
        "events/2025_12_30_events.parquet/",
        "events/2025_12_30_events.parquet\n",
        "events/2025_12_30_events_parquet",
        "events/2025_12_30_events.PARQUET",
        "events/2025_12_30_Events.parquet",
        "events/2025-12-30_events.parquet",
        "events/20251230_events.parquet",  # as the original sketch had it
        "events/2025_12_3_events.parquet",
        "events/2025_1_30_events.parquet",
        "events/25_12_30_events.parquet",
        "events/12025_12_30_events.parquet",
        "events/ 2025_12_30_events.parquet",
        "events/2025_12_30_top10.parquet",
        "events/+025_12_30_events.parquet",
        "events/\uff12\uff10\uff12\uff15_12_30_events.parquet",
        "events/\u0662\u0660\u0662\u0665_\u0661\u0662_\u0663\u0660_events.parquet",
        # Other places.
        "2025_12_30_events.parquet",
        "/events/2025_12_30_events.parquet",
        "events//2025_12_30_events.parquet",
        "events/2025/2025_12_30_events.parquet",
        "Events/2025_12_30_events.parquet",
        "raw/2025_12_30_events.parquet",
        "old/events/2025_12_30_events.parquet",
        "s3://game-analytics/events/2025_12_30_events.parquet",
        "leaderboard/2025_12_30_top10.parquet",
        "raw/manifests/2025_12_30.json",
    ],
)
def test_any_other_key_is_no_stats_file_of_any_day(key: str) -> None:
    assert day_of_stats_key(key) is None


def test_each_day_has_keys_of_its_own() -> None:
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(3 * 366)]
    for name in (day_token, stats_key, board_key, manifest_key):
        assert len(set(map(name, days))) == len(days)
    assert sorted(days, key=stats_key) == days  # keys sort like days


def test_each_board_has_keys_of_its_own() -> None:
    assert board_key(date(2025, 12, 30), "top100_hs") == "leaderboard/2025_12_30_top100_hs.parquet"
    assert day_of_board_key("leaderboard/2025_12_30_top100_hs.parquet", "top100_hs") == date(2025, 12, 30)
    assert day_of_board_key("leaderboard/2025_12_30_top100_hs.parquet") is None
    assert day_of_board_key("leaderboard/2025_12_30_top10.parquet", "top100_hs") is None
