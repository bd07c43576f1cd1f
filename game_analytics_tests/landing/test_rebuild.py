"""A day landed again reads its window together with the one that was committed, if that was of this log."""

from datetime import timedelta

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import manifest_key
from game_analytics.landing.losses import Truncated
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import (
    DAY,
    DAY_BEFORE,
    account_of,
    at,
    body_of,
    kill,
    land,
    manifest_bytes,
    read_of,
    stored,
    utc,
)

TWO_HOURS = timedelta(minutes=120)
HALF_AN_HOUR = timedelta(minutes=30)


def with_late_ones(name: str = "game-events") -> ListedLog:
    return ListedLog(
        {
            0: [
                at(0, "2025-12-29 12:00"),
                at(1, "2025-12-30 12:00"),
                at(2, "2025-12-31 00:45", kill(ts="2025-12-30T23:59:00Z")),
                at(3, "2025-12-31 01:45", kill(ts="2025-12-30T23:59:30Z")),
                at(4, "2025-12-31 02:30"),
            ]
        },
        name=name,
    )


def test_less_lateness_later_does_not_take_events_away(lake: Lake) -> None:
    land(with_late_ones(), lake, lateness=TWO_HOURS)
    first = manifest_bytes(lake)
    again = land(with_late_ones(), lake, lateness=HALF_AN_HOUR).manifest
    assert (read_of(again), again.window.end) == ((1, 4), utc("2025-12-31 02:00"))
    assert manifest_bytes(lake) == first


def test_more_lateness_later_adds_events(lake: Lake) -> None:
    assert read_of(land(with_late_ones(), lake, lateness=HALF_AN_HOUR).manifest) == (1, 2)
    again = land(with_late_ones(), lake, lateness=TWO_HOURS).manifest
    assert (read_of(again), again.window.end) == ((1, 4), utc("2025-12-31 02:00"))
    assert again.total()["landed"] == 3


def test_the_wider_window_that_stands_must_be_over_for_the_rebuild_to_be_closed(lake: Lake) -> None:
    now = utc("2025-12-31 01:50")
    land(with_late_ones(), lake, lateness=TWO_HOURS, now=now)
    assert not land(with_late_ones(), lake, lateness=HALF_AN_HOUR, now=now).manifest.window_closed
    assert land(with_late_ones(), lake, lateness=HALF_AN_HOUR).manifest.window_closed


def test_what_compaction_took_since_then_is_not_taken_from_the_day(lake: Lake) -> None:
    log = with_late_ones()
    land(log, lake)
    before = stored(lake)
    compacted = ListedLog({0: [message for message in log.partitions[0] if message.offset != 1]})
    says = "of 2 messages that were read of partition 0 1 are left; 2 events were landed, 1 would be"
    with pytest.raises(Truncated, match=says):
        land(compacted, lake)
    assert manifest_bytes(lake) == body_of(lake, manifest_key(DAY))
    assert before.items() <= stored(lake).items()
    landing = land(compacted, lake, allow_truncated=True)
    account = account_of(landing.manifest)
    assert (account.first, account.end, account.read, account.gaps, account.landed) == (1, 3, 1, 1, 1)
    assert landing.truncated == says.split("; ")
    assert before.keys() <= stored(lake).keys()


def test_a_partition_that_is_new_since_then_has_its_own_window(lake: Lake) -> None:
    land(with_late_ones(), lake, lateness=TWO_HOURS)
    log = ListedLog({**with_late_ones().partitions, 1: [at(0, "2025-12-30 12:00"), at(1, "2025-12-31 01:45")]})
    again = land(log, lake, lateness=HALF_AN_HOUR).manifest
    # The window is the wider one for each partition.
    assert (read_of(again, 0), read_of(again, 1)) == ((1, 4), (0, 2))


def test_what_was_landed_of_another_topic_is_not_united_with_this_one(lake: Lake) -> None:
    land(with_late_ones("rehearsal"), lake, lateness=TWO_HOURS)
    log = with_late_ones("game-events")
    manifest = land(log, lake, lateness=HALF_AN_HOUR, allow_truncated=True).manifest
    assert manifest.topic == "game-events"
    assert (read_of(manifest), manifest.window.end) == ((1, 2), utc("2025-12-31 00:30"))


def made_again() -> ListedLog:
    """The topic was deleted and made again: its offsets start from 0 and have not come as far as they were."""
    return ListedLog({0: [at(0, "2025-12-30 12:00"), at(1, "2025-12-30 13:00"), at(2, "2025-12-31 00:45")]})


def test_a_topic_that_was_made_again_does_not_replace_what_the_old_one_gave(lake: Lake) -> None:
    land(with_late_ones(), lake, lateness=TWO_HOURS)  # up to offset 4, where the new topic has 3
    before = stored(lake)
    with pytest.raises(Truncated, match=r"partition 0 ends at offset 3, but .* has read it to offset 4"):
        land(made_again(), lake, lateness=HALF_AN_HOUR)
    assert stored(lake) == before


def test_a_topic_that_was_made_again_is_landed_if_that_is_allowed(lake: Lake) -> None:
    land(with_late_ones(), lake, lateness=TWO_HOURS)
    landing = land(made_again(), lake, lateness=HALF_AN_HOUR, allow_truncated=True)
    assert read_of(landing.manifest) == (0, 3)
    (truncated,) = landing.truncated
    assert truncated == (
        "partition 0 ends at offset 3, but the committed landing has read it to offset 4: the topic was created again, "
        "and 3 events of that landing would be lost"
    )
    # The offset that the old one came to is not taken for one that a transaction holds back.
    assert (landing.warnings, landing.manifest.window_closed) == ([], True)


def test_a_topic_that_was_made_again_with_fewer_partitions_is_named(lake: Lake) -> None:
    log = with_late_ones()
    land(ListedLog({0: log.partitions[0], 1: log.partitions[0]}), lake, lateness=TWO_HOURS)
    with pytest.raises(Truncated, match="partition 1 is gone"):
        land(log, lake, lateness=HALF_AN_HOUR)


def test_a_topic_made_again_is_not_truncated_by_what_the_day_before_knew_of_the_old_one(lake: Lake) -> None:
    # The old one: the 30th starts at offset 1, and the window of the 29th ends at 50.
    old = [at(0, "2025-12-29 12:00"), *(at(offset, f"2025-12-30 00:{offset:02}") for offset in range(1, 50))]
    before = account_of(land(ListedLog({0: old}), lake, day=DAY_BEFORE).manifest)
    assert (before.next_day_first, before.end) == (1, 50)
    # The new one has dropped offset 1, but something older than the 30th is left.
    new = ListedLog({0: [at(2, "2025-12-29 20:00"), at(3, "2025-12-30 12:00")]}, low={0: 2})
    assert read_of(land(new, lake).manifest) == (3, 4)


@pytest.mark.parametrize("content", [b"", b"null", b'{"version": 1}', b"\xff\xfe"])
def test_a_manifest_that_is_none_is_named_and_stays(lake: Lake, content: bytes) -> None:
    key = manifest_key(DAY)
    lake.put(key, content)
    with pytest.raises(GameAnalyticsError) as error:
        land(with_late_ones(), lake)
    assert lake.uri(key) in str(error.value)
    assert "land the day again" in str(error.value)
    assert body_of(lake, key) == content
    assert list(stored(lake)) == [key]


def test_a_manifest_of_a_newer_version_is_not_overwritten(lake: Lake) -> None:
    land(with_late_ones(), lake)
    newer = manifest_bytes(lake).replace(b'"version": 2', b'"version": 3')
    lake.put(manifest_key(DAY), newer)
    with pytest.raises(GameAnalyticsError, match="has version 3, this package knows 2"):
        land(with_late_ones(), lake)
    assert manifest_bytes(lake) == newer
