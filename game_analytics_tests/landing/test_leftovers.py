"""Objects that no manifest lists are removed once they are older than a day, after the commit, and nothing else is.

Objects are as old as the S3 server says, so here the clock of a landing is moved and theirs is the real one.
"""

from datetime import UTC, datetime, timedelta

import pytest

from game_analytics.landing.window import Truncated
from game_analytics.layout import manifest_key
from game_analytics.resources.lake import Lake
from game_analytics_tests.landing.logs import Died, DiesAt
from game_analytics_tests.landing.samples import DAY, at, ensure_whole, kill, land, stored, tombstone
from game_analytics_tests.listed_log import ListedLog

LEFTOVERS = [
    "raw/2025_12_30/0-0-9-0123456789ab.parquet",
    "quarantine/2025_12_30/0-0-9-0123456789ab.parquet",
    "raw/2025_12_30/1-5-7-ba9876543210.parquet",
]
"""What runs that died left under the day's prefixes."""

OTHERS = [
    "raw/2025_12_29/0-0-9-0123456789ab.parquet",
    "raw/2025_12_31/0-0-9-0123456789ab.parquet",
    "quarantine/2025_12_29/0-0-9-0123456789ab.parquet",
    "raw/2025_12_300/0-0-9-0123456789ab.parquet",
    "events/2025_12_30_events.parquet",
    "leaderboard/2025_12_30_top10.parquet",
]
"""What a landing of the day has no business with."""


def a_day() -> ListedLog:
    return ListedLog({0: [at(0, "2025-12-30 10:00"), tombstone(1, "2025-12-30 10:01")]})


def after(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def put_all(lake: Lake, keys: list[str]) -> None:
    for key in keys:
        lake.put(key, b"left")


def listed_by_a_landing(lake: Lake, now: datetime) -> set[str]:
    manifest = land(a_day(), lake, now=now).manifest
    return {manifest_key(DAY), *(landed.key for landed in manifest.objects)}


def test_leftovers_older_than_a_day_go(lake: Lake) -> None:
    put_all(lake, LEFTOVERS)
    listed = listed_by_a_landing(lake, now=after(24.1))
    assert set(stored(lake)) == listed


def test_younger_ones_stay(lake: Lake) -> None:
    put_all(lake, LEFTOVERS)
    listed = listed_by_a_landing(lake, now=after(23.9))
    assert set(stored(lake)) == {*listed, *LEFTOVERS}


def test_what_the_manifest_lists_stays_however_old_it_is(lake: Lake) -> None:
    listed = listed_by_a_landing(lake, now=after(0))
    assert len(listed) == 3
    assert listed_by_a_landing(lake, now=after(1_000)) == listed
    assert set(stored(lake)) == listed


def test_what_only_the_manifest_before_listed_goes(lake: Lake) -> None:
    listed = listed_by_a_landing(lake, now=after(0))
    log = ListedLog({0: [*a_day().partitions[0], at(2, "2025-12-30 10:02", kill("ben"))]})
    manifest = land(log, lake, now=after(25)).manifest
    assert set(stored(lake)) == {manifest_key(DAY), *(landed.key for landed in manifest.objects)}
    assert len(listed & set(stored(lake))) == 1  # the manifest's own key


def test_nothing_of_other_days_and_other_datasets_goes(lake: Lake) -> None:
    put_all(lake, OTHERS)
    listed = listed_by_a_landing(lake, now=after(1_000))
    assert set(stored(lake)) == {*listed, *OTHERS}


def test_nothing_goes_before_the_commit(lake: Lake) -> None:
    put_all(lake, LEFTOVERS)
    with pytest.raises(Died):
        land(DiesAt({0: a_day().partitions[0], 1: a_day().partitions[0]}), lake, now=after(25))
    with pytest.raises(Truncated):
        land(ListedLog({0: []}, low={0: 3}), lake, now=after(25))
    assert set(LEFTOVERS) <= set(stored(lake))


def test_what_a_run_that_died_left_is_taken_up_by_the_next_one(lake: Lake) -> None:
    """The same object again, under the same key: it is listed now."""
    with pytest.raises(Died):
        land(DiesAt({0: a_day().partitions[0], 1: [at(0, "2025-12-30 10:00")]}), lake, now=after(0))
    left = set(stored(lake))
    assert len(left) == 2
    land(ListedLog({0: a_day().partitions[0], 1: [at(0, "2025-12-30 10:00")]}), lake, now=after(25))
    assert left < set(stored(lake))
    ensure_whole(lake)
