"""Objects that no manifest lists are removed once they are older than a day, after the commit; what a commit replaces
stays for a week, and for good where events were lost.

Objects are as old as the S3 server says, so here the clock of a landing is moved and theirs is the real one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import manifest_key, old_manifest_key
from game_analytics.landing.losses import Truncated
from game_analytics_tests.support.faulty_logs import Died, DiesAt
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    at,
    body_of,
    ensure_whole,
    kill,
    land,
    manifest_bytes,
    standing,
    stored,
    tombstone,
)

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


def with_one_more() -> ListedLog:
    return ListedLog({0: [*a_day().partitions[0], at(2, "2025-12-30 10:02", kill("ben"))]})


def copies_of_manifests(lake: Lake, folder: str) -> list[str]:
    return list(stored(lake, f"raw/2025_12_30/{folder}/"))


def test_what_a_commit_replaces_stays_for_a_week_however_old_it_is(lake: Lake) -> None:
    before = listed_by_a_landing(lake, now=after(0))
    manifest = land(with_one_more(), lake, now=after(25)).manifest
    listed = {manifest_key(DAY), *(landed.key for landed in manifest.objects)}
    (copy,) = copies_of_manifests(lake, "replaced")
    assert set(stored(lake)) == {*before, *listed, copy}
    land(with_one_more(), lake, now=after(24 * 6.9))
    assert set(stored(lake)) == {*before, *listed, copy}


def test_what_was_replaced_a_week_ago_goes_and_its_manifest_with_it(lake: Lake) -> None:
    listed_by_a_landing(lake, now=after(0))
    manifest = land(with_one_more(), lake, now=after(0)).manifest
    land(with_one_more(), lake, now=after(24 * 7.1))
    assert set(stored(lake)) == {manifest_key(DAY), *(landed.key for landed in manifest.objects)}


def test_a_replaced_landing_can_be_put_back(lake: Lake) -> None:
    listed_by_a_landing(lake, now=after(0))
    first = manifest_bytes(lake)
    land(with_one_more(), lake, now=after(25))
    (copy,) = copies_of_manifests(lake, "replaced")
    lake.put(manifest_key(DAY), body_of(lake, copy))
    assert manifest_bytes(lake) == first
    ensure_whole(lake)


def test_what_was_replaced_although_events_were_lost_stays_for_good(lake: Lake) -> None:
    before = listed_by_a_landing(lake, now=after(0))
    other = ListedLog({0: [at(0, "2025-12-30 18:00", kill("ben"))]}, name="other-events")
    land(other, lake, now=after(0), allow_truncated=True)
    land(other, lake, now=after(24 * 1_000))
    assert before <= set(stored(lake))
    assert len(copies_of_manifests(lake, "kept")) == 1


def test_a_landing_that_changes_nothing_replaces_nothing(lake: Lake) -> None:
    listed = listed_by_a_landing(lake, now=after(0))
    assert listed_by_a_landing(lake, now=after(25)) == listed == set(stored(lake))


def test_a_manifest_at_the_old_key_is_read_and_goes_once_the_day_is_landed_again(lake: Lake) -> None:
    """Version 1, as the package before wrote it."""
    listed_by_a_landing(lake, now=after(0))
    document = json.loads(manifest_bytes(lake))
    for name in ("topic_id", "cluster_id"):
        del document[name]
    for landed in document["objects"]:
        del landed["bytes"]
    lake.delete([manifest_key(DAY)])
    old = json.dumps({**document, "version": 1}).encode()
    lake.put(old_manifest_key(DAY), old)
    assert standing(lake).total()["landed"] == 1
    land(a_day(), lake, now=after(0))
    assert old_manifest_key(DAY) not in stored(lake)
    assert standing(lake).version == 2
    (copy,) = copies_of_manifests(lake, "replaced")
    assert body_of(lake, copy) == old


@dataclass
class LandedMeanwhile(ListedLog):
    """While the day is read, a package of before lands it at its own place."""

    arriving: list[tuple[Lake, bytes]] = field(default_factory=list)

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        while self.arriving:
            lake, manifest = self.arriving.pop()
            lake.put(old_manifest_key(DAY), manifest)
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


def test_a_commit_stays_conditional_on_the_old_key(lake: Lake) -> None:
    wide = land(with_one_more(), lake, now=after(0)).manifest.to_json()
    lake.delete([manifest_key(DAY)])
    log = LandedMeanwhile({0: a_day().partitions[0]}, arriving=[(lake, wide)])
    with pytest.raises(Truncated, match="ends at offset 2, but the committed landing has read it to offset 3"):
        land(log, lake, now=after(0))
    assert manifest_key(DAY) not in stored(lake)


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
