"""Landings chain by offset: what comes after a day was landed is read with the next day, and goes to its own day."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec
import polars as pl
import pytest

from game_analytics.lake.bucket import to_parquet
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import manifest_key
from game_analytics.landing.again import losses_of_landing_again
from game_analytics.landing.day import land_day
from game_analytics.landing.losses import Truncated
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.landing.reread import reread_day
from game_analytics.rules.log_identity import LogIdentity
from game_analytics.sources.event_log import Found
from game_analytics_tests.support.lakes import MemoryLake
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import (
    DAY,
    DAY_BEFORE,
    FIRST_NIGHT,
    NEXT_DAY,
    ONE_HOUR,
    SECOND_NIGHT,
    account_of,
    at,
    before_the_mirror_went_down,
    body_of,
    caught_up,
    heal_all,
    kill,
    kills,
    land,
    planned,
    read_of,
    spans,
    standing,
    tombstone,
    utc,
)


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


# Late messages


def test_what_a_mirror_brings_after_the_day_was_landed_is_counted_on_its_day(lake: MemoryLake) -> None:
    first = land(ListedLog({0: before_the_mirror_went_down()}), lake, now=FIRST_NIGHT)
    assert (read_of(first.manifest), first.manifest.window_closed) == ((0, 2), True)
    log = ListedLog({0: caught_up()})
    second = land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    assert (read_of(second.manifest), second.manifest.missed) == ((2, 20), {"2025-12-30": 15})
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert kills(lake) == {"ann": 2, "bob": 15}
    assert kills(lake, NEXT_DAY) == {"eve": 3}


def test_a_landing_that_ends_before_its_window_does_says_that_a_mirror_may_lag(lake: MemoryLake) -> None:
    lags = land(ListedLog({0: before_the_mirror_went_down()}), lake, now=FIRST_NIGHT).lags
    assert lags is not None
    assert lags.startswith(
        "no partition that has messages of the day holds any later than the window's end (2025-12-31 01:00 UTC)"
    )


def test_a_log_that_goes_on_after_the_window_does_not_lag(lake: MemoryLake) -> None:
    quiet = [at(0, "2025-12-30 10:00")]
    assert land(ListedLog({0: caught_up(), 1: quiet}), lake, now=SECOND_NIGHT).lags is None


def test_partitions_without_messages_of_the_day_tell_nothing_of_lags(lake: MemoryLake) -> None:
    log = ListedLog({0: [at(0, "2025-12-31 02:00")], 1: before_the_mirror_went_down()})
    assert land(log, lake, now=utc("2025-12-31 06:00")).lags is not None


def test_a_landing_before_its_window_closed_does_not_speak_of_lags(lake: MemoryLake) -> None:
    assert land(ListedLog({0: before_the_mirror_went_down()}), lake, now=utc("2025-12-31 00:30")).lags is None


def test_a_partition_that_the_day_before_does_not_know_is_read_from_its_beginning(lake: MemoryLake) -> None:
    old = [at(0, "2025-12-30 10:00", kill("ann")), at(1, "2025-12-31 01:05", kill("eve"))]
    land(ListedLog({0: old}), lake, now=FIRST_NIGHT)
    added = [at(0, "2025-12-30 22:00", kill("bob")), at(1, "2025-12-31 12:00", kill("eve"))]
    log = ListedLog({0: old, 1: added})
    assert read_of(land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).manifest, 1) == (0, 2)
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert kills(lake) == {"ann": 1, "bob": 1}


def test_a_day_landed_by_a_clock_that_is_ahead_gets_back_what_came_afterwards(lake: MemoryLake) -> None:
    so_far = [at(0, "2025-12-30 10:00", kill("ann"))]
    assert land(ListedLog({0: so_far}), lake, now=FIRST_NIGHT).manifest.window_closed  # it is really 20:00
    log = ListedLog(
        {0: [*so_far, at(1, "2025-12-30 22:00", kill("bob")), at(2, "2025-12-31 00:30", kill("eve"))]},
    )
    land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert (kills(lake), kills(lake, NEXT_DAY)) == ({"ann": 1, "bob": 1}, {"eve": 1})


def test_what_hid_behind_a_stamp_of_the_day_after_is_read_with_the_next_day(lake: MemoryLake) -> None:
    """Landed late, so that the stamp lies neither in the future nor a day past the window's end."""
    log = ListedLog(
        {
            0: [
                at(0, "2025-12-30 10:00", kill("ann")),
                at(1, "2025-12-31 22:00", kill("eve")),  # by a clock that is a day ahead
                at(2, "2025-12-30 12:00", kill("bob")),
                at(3, "2025-12-31 12:00", kill("eve")),
            ]
        }
    )
    assert read_of(land(log, lake, now=SECOND_NIGHT).manifest) == (0, 1)
    land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert (kills(lake), kills(lake, NEXT_DAY)) == ({"ann": 1, "bob": 1}, {"eve": 2})


def with_a_gap(lake: MemoryLake) -> ListedLog:
    """Two landings as the package before made them: offsets 2 to 16 are in neither."""
    log = ListedLog({0: caught_up()})
    land(ListedLog({0: before_the_mirror_went_down()}), lake, now=FIRST_NIGHT)
    landed = land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).manifest
    account = msgspec.structs.replace(account_of(landed), first=17, read=3, other_days=0)
    gap = msgspec.structs.replace(landed, partitions=[account], missed={})
    lake.put(manifest_key(NEXT_DAY), gap.to_json())
    return log


@pytest.mark.parametrize("day", [DAY, NEXT_DAY])
def test_a_gap_that_older_landings_left_is_read_by_whichever_day_is_landed_again(lake: MemoryLake, day: date) -> None:
    log = with_a_gap(lake)
    land(log, lake, day=day, now=SECOND_NIGHT)
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    assert kills(lake) == {"ann": 2, "bob": 15}


@dataclass
class WhileRead(ListedLog):
    """While it is read for the first time, something happens."""

    happening: list[Callable[[], object]] = field(default_factory=list)

    def read(
        self, partition: int, first: int, end: int, *, max_messages: int, max_bytes: int
    ) -> Iterator[pl.DataFrame]:
        while self.happening:
            self.happening.pop()()
        return super().read(partition, first, end, max_messages=max_messages, max_bytes=max_bytes)


def test_a_day_whose_day_before_is_landed_meanwhile_begins_where_that_ended(lake: MemoryLake) -> None:
    early = ListedLog({0: before_the_mirror_went_down()})
    log = WhileRead({0: caught_up()}, happening=[lambda: land(early, lake, now=FIRST_NIGHT)])
    assert read_of(land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).manifest) == (2, 20)


@pytest.mark.parametrize("other", [DAY_BEFORE, NEXT_DAY])
def test_a_manifest_of_a_neighbour_that_can_t_be_read_stops_no_landing(lake: MemoryLake, other: date) -> None:
    lake.put(manifest_key(other), b"garbage")
    landing = land(ListedLog({0: caught_up()}), lake, now=SECOND_NIGHT)
    assert kills(lake) == {"ann": 2, "bob": 15}
    (warning,) = landing.warnings
    assert warning.startswith(f"a manifest was ignored: {lake.uri(manifest_key(other))} is no manifest")
    assert body_of(lake, manifest_key(other)) == b"garbage"


def test_what_lies_before_the_first_landing_is_named(lake: MemoryLake) -> None:
    log = ListedLog({0: [at(0, "2025-12-28 10:00"), at(1, "2025-12-28 11:00"), at(2, "2025-12-30 10:00")], 1: []})
    assert land(log, lake).unread_before == ["partition 0: offsets 0 to 1"]
    assert land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).unread_before == []


# Figures of the day, and what healing reads beyond it


def a_day_with_late_and_bad_ones() -> ListedLog:
    return ListedLog(
        {
            0: [
                at(0, "2025-12-30 10:00", kill("ann")),
                tombstone(1, "2025-12-30 11:00"),
                tombstone(2, "2025-12-31 00:30"),  # in both windows
                at(3, "2025-12-31 03:00", kill("bob", ts="2025-12-30T23:59:00Z")),
                tombstone(4, "2025-12-31 04:00"),
                at(5, "2025-12-31 12:00", kill("eve")),
                at(6, "2026-01-01 12:00", kill("eve")),
            ]
        }
    )


def healed(lake: MemoryLake) -> LandingReport:
    log = a_day_with_late_and_bad_ones()
    for day in (DAY, NEXT_DAY):
        land(log, lake, day=day, now=utc("2026-01-02 06:00"))
    options = LandingOptions(ONE_HOUR, found_by=(NEXT_DAY,))
    return land_day(log, lake, DAY, options, clock=lambda: utc("2026-01-02 06:00"))


def quarantined(lake: MemoryLake, day: date) -> list[int]:
    frames = [lake.read_parquet(key) for key in standing(lake, day).keys("quarantine")]
    return sorted(offset for frame in frames if frame is not None for offset in frame["kafka_offset"])


def test_a_healed_day_s_figures_are_those_of_its_own_window(lake: MemoryLake) -> None:
    landing = healed(lake)
    assert landing.own == {"read": 3, "landed": 1, "ignored": 0, "other_days": 0, "quarantined": 2}
    assert landing.beyond == {"read": 3, "landed": 1, "ignored": 0, "other_days": 2, "quarantined": 0}
    assert account_of(landing.manifest).read == 6


def test_what_can_t_be_read_is_held_by_the_days_of_its_windows_and_not_by_one_that_reads_it_for_late_events(
    lake: MemoryLake,
) -> None:
    healed(lake)
    assert (quarantined(lake, DAY), quarantined(lake, NEXT_DAY)) == ([1, 2], [2, 4])


def test_both_days_landed_again_still_hold_what_can_t_be_read(lake: MemoryLake) -> None:
    healed(lake)
    for day in (NEXT_DAY, DAY, NEXT_DAY):
        land(a_day_with_late_and_bad_ones(), lake, day=day, now=utc("2026-01-02 06:00"))
    assert (quarantined(lake, DAY), quarantined(lake, NEXT_DAY)) == ([1, 2], [2, 4])


def test_what_can_t_be_read_between_two_landings_is_held_by_the_one_that_reads_it(lake: MemoryLake) -> None:
    so_far = [at(0, "2025-12-30 10:00", kill("ann"))]
    land(ListedLog({0: so_far}), lake, now=FIRST_NIGHT)
    late = [tombstone(1, "2025-12-30 22:00"), at(2, "2025-12-30 22:30", kill("bob")), at(3, "2025-12-31 12:00")]
    log = ListedLog({0: [*so_far, *late]})
    land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    assert quarantined(lake, NEXT_DAY) == [1]
    heal_all(log, lake, [DAY, NEXT_DAY], SECOND_NIGHT)
    land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    assert 1 in (*quarantined(lake, DAY), *quarantined(lake, NEXT_DAY))


def test_a_re_read_does_not_leave_an_event_to_a_day_that_only_read_it_for_late_events(lake: MemoryLake) -> None:
    """Yesterday's rules refused offset 4, a kill of the day that was healed: the finder alone holds it."""
    healed(lake)
    (key,) = standing(lake, NEXT_DAY).keys("quarantine")
    rows = lake.read_parquet(key)
    assert rows is not None
    late = pl.lit(kill("bob", ts="2025-12-30T23:58:00Z"), pl.Binary)
    refused = pl.when(pl.col("kafka_offset") == 4).then(late).otherwise("value")
    lake.put(key, to_parquet(rows.with_columns(value=refused)))
    landing = reread_day(lake, NEXT_DAY, clock=lambda: utc("2026-01-02 06:00"))
    assert quarantined(lake, NEXT_DAY) == [2, 4]
    (warning,) = landing.warnings
    assert warning.endswith("that are not in those days' quarantines stay in this one: 1 of 2025-12-30")


# Before the topic's first message, and messages of no day


def test_nothing_is_read_of_days_before_the_topics_first_message(lake: MemoryLake) -> None:
    log = ListedLog({0: [at(n, "2025-12-30 12:00") for n in range(500)], 1: [at(0, "2025-12-30 13:00")], 2: []})
    for number in range(18, -1, -1):
        day = DAY - timedelta(days=number)
        manifest = land(log, lake, day=day).manifest
        assert manifest.total()["read"] == (501 if day == DAY else 0), day


def test_a_first_message_from_the_future_does_not_hide_the_day_behind_it(lake: MemoryLake) -> None:
    log = ListedLog({0: [at(0, "2031-01-01 00:00"), at(1, "2025-12-30 12:00", kill("bob"))]})
    landing = land(log, lake)
    assert kills(lake) == {"bob": 1}
    (warning,) = landing.warnings
    assert warning.startswith("partition 0, offset 0 is stamped 2031-01-01T00:00:00Z, far past the window's end")


def test_a_topic_that_is_stamped_in_seconds_says_so(lake: MemoryLake) -> None:
    seconds = utc("1970-01-21 11:04:40.800")  # 2025-12-30 12:00 in seconds, taken for milliseconds
    log = ListedLog({0: [Message(0, seconds, kill())], 1: []})
    (warning,) = land(log, lake).warnings
    assert warning.startswith(
        "all messages of the topic are stamped before 2024-01-01, the first one 1970-01-21T11:04:40Z"
    )
    assert warning.endswith("do the producers give seconds?")


@dataclass
class FindsNoStart(ListedLog):
    """After a purge a broker may answer «none» for a time though later messages are there."""

    def first_at_or_after(self, instant: datetime) -> Mapping[int, Found | None]:
        return {0: None} if instant == utc("2025-12-29 23:55") else super().first_at_or_after(instant)


def test_a_window_whose_start_is_not_found_although_its_end_is_starts_at_the_low_watermark() -> None:
    messages = [at(5, "2025-12-29 20:00"), at(6, "2025-12-30 12:00"), at(7, "2025-12-31 12:00")]
    assert spans(planned(FindsNoStart({0: messages}, low={0: 5}), now=SECOND_NIGHT)) == {0: (5, 7)}


# Another log


OLD = LogIdentity("game-events", "old", "here")


def topic(*messages: Message, log: LogIdentity = OLD, low: int = 0) -> ListedLog:
    return ListedLog({0: messages}, name=log.topic, topic_id=log.topic_id, cluster_id=log.cluster_id, low={0: low})


def twenty_four_kills(log: LogIdentity = OLD) -> ListedLog:
    return topic(*(at(n, f"2025-12-30 10:{n:02}") for n in range(24)), log=log)


def one_kill_in_a_longer_topic(log: LogIdentity) -> ListedLog:
    """Grown past the old end: by offsets alone nothing looks wrong."""
    others = [at(n, f"2025-12-31 10:{n:02}") for n in range(1, 60)]
    return topic(at(0, "2025-12-30 18:00", kill("eve")), *others, log=log)


CREATED_AGAIN = LogIdentity("game-events", "new", "here")
ON_ANOTHER_CLUSTER = LogIdentity("game-events", "old", "there")
RENAMED = LogIdentity("events-2", "new", "here")
WITHOUT_IDS = LogIdentity("game-events")


@pytest.mark.parametrize("other", [CREATED_AGAIN, ON_ANOTHER_CLUSTER, RENAMED])
def test_a_day_is_not_replaced_from_another_log(lake: MemoryLake, other: LogIdentity) -> None:
    land(twenty_four_kills(), lake)
    before = dict(lake.objects)
    with pytest.raises(Truncated, match="24 events of that landing would be replaced") as raised:
        land(one_kill_in_a_longer_topic(other), lake, now=SECOND_NIGHT)
    assert f"read from game-events (topic id old, cluster here), this log is {other}" in str(raised.value)
    assert "allow_truncated: true" in str(raised.value)
    assert lake.objects == before


def test_a_day_replaced_from_another_log_because_somebody_says_so_keeps_what_the_old_one_held(lake: MemoryLake) -> None:
    land(twenty_four_kills(), lake)
    before = set(lake.objects)
    landing = land(one_kill_in_a_longer_topic(CREATED_AGAIN), lake, now=utc("2030-01-01 00:00"), allow_truncated=True)
    assert (kills(lake), len(landing.truncated)) == ({"eve": 1}, 1)
    assert before < set(lake.objects)


def test_a_day_of_which_nothing_was_landed_is_landed_from_another_log(lake: MemoryLake) -> None:
    land(topic(at(0, "2025-12-28 10:00")), lake)
    land(one_kill_in_a_longer_topic(CREATED_AGAIN), lake, now=SECOND_NIGHT)
    assert kills(lake) == {"eve": 1}


def test_a_manifest_without_ids_is_compared_by_its_events(lake: MemoryLake) -> None:
    land(twenty_four_kills(WITHOUT_IDS), lake)
    with pytest.raises(Truncated, match="24 events were landed, 1 would be"):
        land(one_kill_in_a_longer_topic(CREATED_AGAIN), lake, now=SECOND_NIGHT)


def test_a_manifest_without_ids_is_landed_again_from_the_same_topic(lake: MemoryLake) -> None:
    land(twenty_four_kills(WITHOUT_IDS), lake)
    assert land(twenty_four_kills(), lake).manifest.topic_id == "old"


def test_a_topic_created_again_on_the_day_itself_is_told_by_the_day_before(lake: MemoryLake) -> None:
    land(topic(at(0, "2025-12-29 10:00")), lake, day=DAY_BEFORE)
    with pytest.raises(
        Truncated, match="the topic was created again or is another one since 2025-12-29 was landed"
    ) as raised:
        land(topic(at(0, "2025-12-30 18:00"), log=CREATED_AGAIN), lake)
    assert "begins at 2025-12-30T18:00:00Z: what was delivered before is lost" in str(raised.value)


def test_stragglers_in_a_topic_that_was_created_again_prove_nothing(lake: MemoryLake) -> None:
    land(topic(at(0, "2025-12-29 10:00")), lake, day=DAY_BEFORE)
    stragglers = [at(0, "2025-12-29 22:00"), at(1, "2025-12-29 22:01")]
    with pytest.raises(Truncated, match="the topic was created again or is another one since 2025-12-29 was landed"):
        land(topic(*stragglers, at(2, "2025-12-30 18:00"), log=CREATED_AGAIN), lake)


def test_what_the_log_has_dropped_of_a_finder_is_lost_to_the_day(lake: MemoryLake) -> None:
    """Two events of the day that were found too early, and one of them has gone since."""
    early = [at(n, "2025-12-29 12:00", kill("bob", ts="2025-12-30T10:00:00Z")) for n in (1, 2)]
    messages = [at(0, "2025-12-29 10:00"), *early, at(3, "2025-12-30 12:00"), at(4, "2025-12-31 12:00")]
    land(topic(*messages), lake, day=DAY_BEFORE, now=SECOND_NIGHT)
    log = topic(*messages[2:], low=2)
    (why,) = losses_of_landing_again(topic(*messages[2:], low=2), lake, DAY_BEFORE, ONE_HOUR, SECOND_NIGHT)
    assert why.startswith("partition 0 has lost offsets 0 to 1")
    land(topic(*messages), lake, now=SECOND_NIGHT)
    assert losses_of_landing_again(topic(*messages), lake, DAY, ONE_HOUR, SECOND_NIGHT, (DAY_BEFORE,)) == []
    lake.put(manifest_key(DAY), without_what_was_early(lake).to_json())
    assert losses_of_landing_again(log, lake, DAY, ONE_HOUR, SECOND_NIGHT) == []
    (why,) = losses_of_landing_again(log, lake, DAY, ONE_HOUR, SECOND_NIGHT, (DAY_BEFORE,))
    assert why == "partition 0 no longer holds all of offsets 0 to 2, which the landing of 2025-12-29 has read"


def without_what_was_early(lake: MemoryLake) -> Manifest:
    """The day as a landing by its own window alone would have it."""
    manifest = standing(lake)
    account = msgspec.structs.replace(account_of(manifest), first=3, read=1, landed=1, other_days=0)
    return msgspec.structs.replace(manifest, partitions=[account])


def test_a_new_cluster_that_still_holds_something_older_than_the_window_is_whole(lake: MemoryLake) -> None:
    """Its offsets begin higher than those that the day before has read of the old one."""
    land(topic(at(0, "2025-12-29 10:00")), lake, day=DAY_BEFORE)
    messages = [at(500, "2025-12-29 20:00"), at(501, "2025-12-30 00:05", kill("bob")), at(502, "2025-12-31 02:00")]
    landing = land(topic(*messages, log=ON_ANOTHER_CLUSTER, low=500), lake)
    assert (kills(lake), landing.warnings, landing.truncated) == ({"bob": 1}, [], [])


def test_a_late_message_does_not_prove_that_nothing_was_dropped(lake: MemoryLake) -> None:
    messages = [at(500, "2025-12-29 20:00"), at(501, "2025-12-30 15:00", kill("bob")), at(502, "2025-12-31 02:00")]
    (warning,) = land(topic(*messages, low=500), lake).warnings
    assert "it may have been sent late, so the window may be incomplete" in warning


def test_landings_of_different_logs_do_not_chain(lake: MemoryLake) -> None:
    land(twenty_four_kills(), lake)
    log = one_kill_in_a_longer_topic(RENAMED)
    with pytest.raises(Truncated, match="is another one since 2025-12-30 was landed"):
        land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT)
    landing = land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT, allow_truncated=True)
    assert read_of(landing.manifest) == (1, 60)
