"""A quarantine that is read again with today's rules. What yesterday's rules refused is laid into the lake by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.committed import read_landing
from game_analytics.lake.manifest import Unbalanced
from game_analytics.lake.names import manifest_key
from game_analytics.landing.report import LandingReport
from game_analytics.landing.reread import reread_day
from game_analytics_tests.support.landed import TOO_LONG, put_quarantined_day, quarantine_of_stricter_rules
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    NEXT_DAY,
    account_of,
    at,
    ensure_whole,
    kill,
    land,
    manifest_bytes,
    standing,
    stored,
    utc,
)

NOW = utc("2026-02-01 06:00")


def reread(lake: Lake, day: date = DAY) -> LandingReport:
    return reread_day(lake, day, clock=lambda: NOW)


def rows_of(lake: Lake, kind: str) -> list[tuple[object, ...]]:
    frames = [lake.read_parquet(landed.key) for landed in standing(lake).objects if landed.kind == kind]
    return [row for frame in frames if frame is not None for row in frame.rows()]


def test_what_is_good_now_is_landed_and_the_rest_stays(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    landing = reread(lake)
    noon = datetime(2025, 12, 30, 12, tzinfo=UTC)
    assert rows_of(lake, "raw") == [
        (noon, "ann lee", "KILL", None, None, 0, 10),
        (noon, "ann lee", "DEATH", None, None, 0, 11),
    ]
    assert rows_of(lake, "quarantine") == [
        ("bad_ts", kill("bob", ts="2025-12-31T00:00:00Z"), 0, 13, noon),  # good, but nobody else has it
        ("bad_player_id", TOO_LONG, 0, 14, noon),
        ("tombstone", None, 0, 15, noon),
    ]
    account = account_of(landing.manifest)
    assert (account.landed, account.ignored, account.other_days, account.quarantined) == (2, 10, 1, 3)
    assert (account.read, account.gaps, account.first, account.end) == (16, 4, 0, 20)
    assert landing.reasons == {"tombstone": 1, "bad_player_id": 1, "bad_ts": 1}
    assert landing.samples["bad_player_id"] == TOO_LONG


def test_nothing_else_of_the_day_changes(lake: Lake) -> None:
    before = put_quarantined_day(lake, quarantine_of_stricter_rules())
    after = reread(lake).manifest
    assert (after.day, after.topic, after.window, after.window_closed) == (
        before.day,
        before.topic,
        before.window,
        before.window_closed,
    )
    assert account_of(after).next_day_first == 18


def test_read_again_twice_gives_the_same_bytes(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    reread(lake)
    first, listed = manifest_bytes(lake), stored(lake)
    reread(lake)
    assert manifest_bytes(lake) == first
    assert stored(lake) == listed


def offsets_in_quarantine(lake: Lake) -> list[object]:
    return [row[3] for row in rows_of(lake, "quarantine")]


def test_events_of_another_day_that_nobody_else_has_read_stay_and_are_told(lake: Lake) -> None:
    """Kafka no longer holds them, so this quarantine is all that is left of them."""
    put_quarantined_day(lake, quarantine_of_stricter_rules(), missed={"2025-12-29": 3})
    landing = reread(lake)
    assert offsets_in_quarantine(lake) == [13, 14, 15]
    assert landing.manifest.missed == {"2025-12-29": 3}
    assert landing.warnings == [
        ("events of other days that are not in those days' quarantines stay in this one: 1 of 2025-12-31")
    ]


def test_events_of_another_day_that_has_read_their_offsets_are_left_to_that_day(lake: Lake) -> None:
    """That day quarantined them as well, and its own quarantine can be read again."""
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    log = ListedLog({0: [at(13, "2025-12-31 12:00", b"garbage")]}, high={0: 20})
    land(log, lake, day=NEXT_DAY, now=NOW)
    landing = reread(lake)
    assert offsets_in_quarantine(lake) == [14, 15]
    assert account_of(landing.manifest).other_days == 2
    assert landing.warnings == []


def test_offsets_of_another_topic_tell_nothing_about_this_one(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    land(ListedLog({0: [at(13, "2025-12-31 12:00")]}, name="other"), lake, day=NEXT_DAY, now=NOW)
    reread(lake)
    assert offsets_in_quarantine(lake) == [13, 14, 15]


def test_a_quarantine_that_is_no_parquet_is_named(lake: Lake) -> None:
    manifest = put_quarantined_day(lake, quarantine_of_stricter_rules())
    [key] = manifest.keys("quarantine")
    lake.put(key, b"no Parquet")
    with pytest.raises(GameAnalyticsError, match=f"Parquet in {lake.uri(key)} can't be read"):
        reread(lake)


def test_a_day_whose_quarantine_stays_as_it_is_keeps_its_bytes(lake: Lake) -> None:
    land(ListedLog({0: [at(0, "2025-12-30 12:00"), at(1, "2025-12-30 13:00", b"garbage")]}), lake)
    before, listed = manifest_bytes(lake), stored(lake)
    landing = reread(lake)
    assert manifest_bytes(lake) == before
    assert stored(lake) == listed
    assert landing.reasons == {"not_json": 1}
    ensure_whole(lake)


def test_a_day_without_quarantine_stays_as_it_is(lake: Lake) -> None:
    land(ListedLog({0: [at(0, "2025-12-30 12:00")]}), lake)
    before = manifest_bytes(lake)
    assert reread(lake).reasons == {}
    assert manifest_bytes(lake) == before


def test_what_was_replaced_is_cleared_away_after_a_week(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    (old,) = stored(lake, "quarantine/")
    reread_day(lake, DAY, clock=lambda: datetime.now(UTC))
    assert old in stored(lake, "quarantine/")
    for days, stays in ((6, True), (8, False)):
        reread_day(lake, DAY, clock=lambda: datetime.now(UTC) + timedelta(days=days))  # noqa: B023 - used at once
        assert (old in stored(lake, "quarantine/")) == stays
    listed = {landed.key for landed in standing(lake).objects}
    assert set(stored(lake, "raw/2025_12_30/")) | set(stored(lake, "quarantine/")) == listed


def test_a_day_that_was_never_landed_has_no_quarantine(lake: Lake) -> None:
    with pytest.raises(GameAnalyticsError, match=r"was never landed, so nothing of it is quarantined"):
        reread(lake)


def test_a_day_whose_raw_folder_has_expired_says_so(lake: Lake) -> None:
    lake.put("events/2025_12_30_events.parquet", b"stats")
    with pytest.raises(GameAnalyticsError, match="a lifecycle rule may have expired raw/"):
        reread(lake)


def test_a_quarantine_object_that_is_gone_is_named(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    (key,) = stored(lake, "quarantine/")
    lake.delete([key])
    with pytest.raises(GameAnalyticsError) as raised:
        reread(lake)
    assert str(raised.value).startswith(f"s3://{lake.bucket}/{key}, which s3://{lake.bucket}/{manifest_key(DAY)} lists")
    assert "is missing: a lifecycle rule may have expired it" in str(raised.value)
    assert "without `reread_quarantine`" in str(raised.value)


def test_an_object_with_fewer_messages_than_the_manifest_says_commits_nothing(lake: Lake) -> None:
    put_quarantined_day(lake, quarantine_of_stricter_rules())
    (key,) = stored(lake, "quarantine/")
    lake.put(key, to_parquet(quarantine_of_stricter_rules().head(4)))
    before = read_landing(lake, DAY)
    with pytest.raises(Unbalanced, match=r"rows of quarantine objects = quarantined: 1 is not 3"):
        reread(lake)
    assert read_landing(lake, DAY) == before
