"""The account of a day: it balances for each partition and in all, and events that came too late are counted."""

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Unbalanced
from game_analytics.lake.names import manifest_key
from game_analytics_tests.support.faulty_logs import DeliversTooMuch, DeliversTwice
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import (
    account_of,
    at,
    kill,
    land,
    manifest_bytes,
    stored,
    tombstone,
    utc,
)


def of_each_kind() -> list[Message]:
    return [
        at(0, "2025-12-30 10:00"),  # landed
        at(1, "2025-12-30 10:01"),  # landed
        at(3, "2025-12-30 10:02", b'{"event_type": "LOGIN"}'),  # ignored, after a gap
        at(4, "2025-12-30 10:03", kill(ts="2025-12-29T10:00:00Z")),  # of another day
        tombstone(5, "2025-12-30 10:04"),  # quarantined
    ]


def test_each_partition_has_its_own_account_and_the_day_has_their_sum(lake: Lake) -> None:
    log = ListedLog({0: of_each_kind(), 1: of_each_kind()[:2], 2: []}, high={1: 5})
    manifest = land(log, lake).manifest
    accounts = [
        (
            one.partition,
            one.first,
            one.end,
            one.read,
            one.gaps,
            one.landed,
            one.ignored,
            one.other_days,
            one.quarantined,
        )
        for one in manifest.partitions
    ]
    assert accounts == [
        (0, 0, 6, 5, 1, 2, 1, 1, 1),
        (1, 0, 5, 2, 3, 2, 0, 0, 0),
        (2, 0, 0, 0, 0, 0, 0, 0, 0),
    ]
    assert manifest.total() == {
        "read": 7,
        "gaps": 4,
        "landed": 4,
        "ignored": 1,
        "other_days": 1,
        "quarantined": 1,
    }
    assert (manifest.rows("raw"), manifest.rows("quarantine")) == (4, 1)


@pytest.mark.parametrize(
    ("delivered", "happened", "missed"),
    [
        # Late, but within the lateness of its own day.
        ("2025-12-30 00:10", "2025-12-29T23:59:00Z", {}),
        ("2025-12-30 00:59:59.999", "2025-12-29T00:00:00Z", {}),
        # Later than that.
        ("2025-12-30 01:00", "2025-12-29T23:59:00Z", {"2025-12-29": 1}),
        ("2025-12-30 02:00", "2025-12-28T12:00:00Z", {"2025-12-28": 1}),
        # Ahead, but within the five minutes by which the window of its own day starts early.
        ("2025-12-30 23:55", "2025-12-31T00:00:00Z", {}),
        # Earlier than that: a clock that is wrong.
        ("2025-12-30 23:54:59.999", "2025-12-31T00:00:00Z", {"2025-12-31": 1}),
        ("2025-12-30 12:00", "2026-01-05T12:00:00Z", {"2026-01-05": 1}),
        # Days that are no partitions, to the ends of what an event may say.
        ("2025-12-30 12:00", "2023-12-31T12:00:00Z", {"2023-12-31": 1}),
        ("2025-12-30 12:00", "1970-01-01T00:00:00Z", {"1970-01-01": 1}),
        ("2025-12-30 12:00", "2999-01-01T12:00:00Z", {"2999-01-01": 1}),
        ("2025-12-30 12:00", "9999-12-31T23:59:59.999999Z", {"9999-12-31": 1}),
    ],
)
def test_an_event_outside_the_window_of_its_own_day_is_missed_there(
    lake: Lake, delivered: str, happened: str, missed: dict[str, int]
) -> None:
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-28 00:00"),
                at(1, "2025-12-29 12:00"),
                at(2, delivered, kill(ts=happened)),
                at(3, "2025-12-31 05:00"),
            ]
        }
    )
    manifest = land(log, lake).manifest
    assert (account_of(manifest).other_days, manifest.missed) == (1, missed)


def test_missed_events_are_counted_by_day_over_all_partitions_in_the_order_of_the_days(lake: Lake) -> None:
    late, later = kill(ts="2025-12-29T12:00:00Z"), kill(ts="2025-12-01T12:00:00Z")
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-02 00:30"),
                at(1, "2025-12-02 12:00"),
                at(2, "2025-12-30 10:00", late),
                at(3, "2025-12-30 10:01", later),
                at(4, "2025-12-30 10:02", late),
            ],
            1: [at(0, "2025-12-30 10:00", kill(ts="2030-01-01T00:00:00Z")), at(1, "2025-12-30 10:01", late)],
        }
    )
    missed = land(log, lake).manifest.missed
    assert list(missed.items()) == [("2025-12-01", 1), ("2025-12-29", 3), ("2030-01-01", 1)]


def test_what_is_missed_goes_by_the_offsets_of_its_own_partition(lake: Lake) -> None:
    # In partition 1 a message from the future hides where the 29th ends, so that day is read to the end there.
    late = kill(ts="2025-12-29T12:00:00Z")
    log = ListedLog(
        {
            0: [at(0, "2025-12-29 12:00"), at(1, "2025-12-30 10:00", late)],
            1: [at(0, "2025-12-29 12:00"), at(1, "2030-01-01 00:00"), at(2, "2025-12-30 10:00", late)],
        }
    )
    manifest = land(log, lake).manifest
    assert [account.other_days for account in manifest.partitions] == [1, 2]
    # Missed: the late one of partition 0, and the one from the future, whose day is far away.
    assert manifest.missed == {"2025-12-29": 1, "2030-01-01": 1}


@pytest.mark.parametrize("log", [DeliversTwice({0: of_each_kind()}), DeliversTwice({0: of_each_kind()}, high={0: 50})])
def test_a_log_that_delivers_offsets_twice_is_found_out_before_the_commit(lake: Lake, log: DeliversTwice) -> None:
    """With few gaps and with so many that they would swallow what came too often."""
    with pytest.raises(Unbalanced) as error:
        land(log, lake)
    assert "2025-12-30" in str(error.value)
    assert "partition 0" in str(error.value)
    assert lake.etag(manifest_key(utc("2025-12-30 00:00").date())) is None


def test_a_log_that_delivers_more_than_was_asked_for_is_found_out_before_the_commit(lake: Lake) -> None:
    messages = [*of_each_kind(), at(6, "2025-12-31 01:00", kill(ts="2025-12-30T12:00:00Z"))]
    with pytest.raises(Unbalanced, match="partition 0"):
        land(DeliversTooMuch({0: messages}), lake)


def test_an_account_that_does_not_balance_leaves_the_day_as_it_stood(lake: Lake) -> None:
    land(ListedLog({0: of_each_kind()}), lake)
    before, manifest = stored(lake), manifest_bytes(lake)
    with pytest.raises(Unbalanced):
        land(DeliversTwice({0: of_each_kind()}), lake)
    after = stored(lake)
    assert {key: after[key] for key in before} == before
    assert manifest_bytes(lake) == manifest
