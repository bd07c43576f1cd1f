"""The receipt of a day and what it commits: every field of it, the same bytes again, and nothing of a run that died."""

import hashlib
import json
from dataclasses import replace

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import manifest_key
from game_analytics_tests.support.faulty_logs import Died, DiesAt, growing
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    DAY_BEFORE,
    NEXT_DAY,
    at,
    body_of,
    death,
    ensure_whole,
    kill,
    land,
    manifest_bytes,
    standing,
    stored,
    tombstone,
    utc,
)


def small_day() -> ListedLog:
    """Two partitions with one message of each fate, and a third that is idle."""
    return ListedLog(
        {
            0: [
                at(7, "2025-12-29 23:00"),  # before the window
                at(8, "2025-12-29 23:56", kill("ann", ts="2025-12-30T00:00:01Z")),
                at(9, "2025-12-30 10:00", kill("ann")),
                # 10 was compacted away
                at(11, "2025-12-30 10:01", death("ben")),
                at(12, "2025-12-30 10:02", b"not json"),
                at(13, "2025-12-30 23:59", kill("ann", ts="2025-12-31T00:00:02Z")),  # its own day reads it too
                at(14, "2025-12-31 02:00"),  # after the window
            ],
            1: [
                at(0, "2025-12-28 12:00"),
                at(1, "2025-12-29 12:00"),
                at(2, "2025-12-30 10:00", b'{"event_type": "LOGIN"}'),
                at(3, "2025-12-30 10:01", kill("cat", ts="2025-12-28T12:00:00Z")),  # nearly two days late
            ],
            2: [],
        },
        low={0: 5},
    )


def only_key(lake: Lake, prefix: str) -> str:
    [key] = [key for key in stored(lake, prefix) if key.endswith(".parquet")]
    return key


def test_the_manifest_says_all_of_a_day(lake: Lake) -> None:
    land(small_day(), lake)
    raw, quarantine = only_key(lake, "raw/"), only_key(lake, "quarantine/")
    assert raw == f"raw/2025_12_30/0-8-14-{hashlib.sha256(body_of(lake, raw)).hexdigest()[:12]}.parquet"
    # Key by key in this order, too: the text is the same whoever makes it.
    assert json.loads(manifest_bytes(lake), object_pairs_hook=list) == [
        ("version", 2),
        ("day", "2025-12-30"),
        ("topic", "game-events"),
        ("topic_id", None),
        ("cluster_id", None),
        ("window", [("start", "2025-12-29T23:55:00Z"), ("end", "2025-12-31T01:00:00Z")]),
        ("window_closed", True),
        (
            "partitions",
            [
                [
                    ("partition", 0),
                    ("first", 8),
                    ("end", 14),
                    ("next_day_first", 13),
                    ("read", 5),
                    ("gaps", 1),
                    ("landed", 3),
                    ("ignored", 0),
                    ("other_days", 1),
                    ("quarantined", 1),
                ],
                [
                    ("partition", 1),
                    ("first", 2),
                    ("end", 4),
                    ("next_day_first", 4),
                    ("read", 2),
                    ("gaps", 0),
                    ("landed", 0),
                    ("ignored", 1),
                    ("other_days", 1),
                    ("quarantined", 0),
                ],
                [
                    ("partition", 2),
                    ("first", 0),
                    ("end", 0),
                    ("next_day_first", 0),
                    ("read", 0),
                    ("gaps", 0),
                    ("landed", 0),
                    ("ignored", 0),
                    ("other_days", 0),
                    ("quarantined", 0),
                ],
            ],
        ),
        (
            "objects",
            [
                [("key", raw), ("kind", "raw"), ("rows", 3), ("bytes", len(body_of(lake, raw)))],
                [("key", quarantine), ("kind", "quarantine"), ("rows", 1), ("bytes", len(body_of(lake, quarantine)))],
            ],
        ),
        ("missed", [("2025-12-28", 1)]),
    ]


def test_a_landing_tells_what_it_committed(lake: Lake) -> None:
    landing = land(small_day(), lake)
    assert landing.manifest == standing(lake)
    assert landing.etag == lake.etag(manifest_key(DAY))
    assert (landing.warnings, landing.truncated) == ([], [])


def test_quarantined_messages_are_told_by_reason_in_the_order_of_the_rule_with_a_sample_each(lake: Lake) -> None:
    log = ListedLog(
        {
            0: [at(0, "2025-12-30 10:00", kill("")), at(1, "2025-12-30 10:01", b"first")],
            1: [at(0, "2025-12-30 10:00", b"second"), tombstone(1, "2025-12-30 10:01")],
        }
    )
    landing = land(log, lake)
    assert list(landing.reasons.items()) == [("tombstone", 1), ("not_json", 2), ("bad_player_id", 1)]
    assert landing.samples == {"tombstone": None, "not_json": b"first", "bad_player_id": kill("")}


@pytest.mark.parametrize("log", [ListedLog({0: [], 1: []}), ListedLog({})])
def test_an_empty_day_lands_empty(lake: Lake, log: ListedLog) -> None:
    manifest = land(log, lake).manifest
    assert (manifest.objects, manifest.missed, manifest.window_closed) == ([], {}, True)
    assert list(stored(lake)) == [manifest_key(DAY)]


def test_a_day_landed_twice_has_the_same_keys_and_the_same_bytes(lake: Lake) -> None:
    land(small_day(), lake)
    first = stored(lake)
    land(small_day(), lake, now=utc("2026-06-01 12:00"))  # another clock
    assert stored(lake) == first


def test_what_comes_later_does_not_change_a_closed_day(lake: Lake) -> None:
    log, deliver = growing(small_day().partitions[0])
    land(log, lake)
    first = stored(lake)
    deliver(at(15, "2025-12-31 12:00", kill("dan")))
    deliver(at(16, "2026-01-01 12:00", kill("dan", ts="2025-12-30T12:00:00Z")))  # too late for the closed day
    land(log, lake, now=utc("2026-01-02 06:00"))
    assert stored(lake) == first


def test_a_neighbouring_day_is_left_alone(lake: Lake) -> None:
    log = replace(small_day(), low={})
    land(log, lake, day=DAY_BEFORE)
    before = stored(lake)
    land(log, lake)
    after = stored(lake)
    assert {key: after[key] for key in before} == before


def test_a_bad_message_in_two_windows_is_in_both_quarantines_and_an_event_in_one_day_only(lake: Lake) -> None:
    log = ListedLog(
        {0: [at(0, "2025-12-30 23:57", b"bad"), at(1, "2025-12-31 00:30", kill(ts="2025-12-30T23:58:00Z"))]}
    )
    first = land(log, lake, day=DAY).manifest
    second = land(log, lake, day=NEXT_DAY, now=utc("2026-01-01 06:00")).manifest
    assert [(manifest.total()["quarantined"], manifest.total()["landed"]) for manifest in (first, second)] == [
        (1, 1),
        (1, 0),
    ]
    assert second.total()["other_days"] == 1
    assert (first.missed, second.missed) == ({}, {})


def test_a_run_that_dies_leaves_the_old_day_whole(lake: Lake) -> None:
    log = small_day()
    log.partitions = {0: log.partitions[0][:3], 1: log.partitions[1], 2: []}
    land(log, lake)
    before, manifest = stored(lake), manifest_bytes(lake)
    # The new run has more to read, stores a slice of it and dies at the next one.
    dying = DiesAt({**small_day().partitions}, low={0: 5})
    with pytest.raises(Died):
        land(dying, lake)
    after = stored(lake)
    assert len(after) > len(before)  # it left something, and nobody lists it
    assert {key: after[key] for key in before} == before
    assert manifest_bytes(lake) == manifest
    ensure_whole(lake)


def test_after_a_run_that_died_the_day_lands_as_if_nothing_had_been(lake: Lake) -> None:
    with pytest.raises(Died):
        land(DiesAt(small_day().partitions, low={0: 5}), lake)
    assert lake.etag(manifest_key(DAY)) is None
    landed = land(small_day(), lake).manifest
    assert landed.total()["landed"] == 3
    assert set(stored(lake)) == {manifest_key(DAY), *(listed.key for listed in landed.objects)}


def test_the_topic_is_named_as_the_log_names_it(lake: Lake) -> None:
    assert land(replace(small_day(), name="ranked-matches"), lake).manifest.topic == "ranked-matches"
