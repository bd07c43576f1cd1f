"""Days landed from a real topic: what a cluster can do to messages, and that the account balances all the same."""

from datetime import UTC, datetime

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from game_analytics.engines.local import LocalEngine
from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Account
from game_analytics.landing.day import land_day
from game_analytics.landing.losses import Truncated
from game_analytics.landing.report import LandingOptions
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics_tests.support.broker import (
    Fate,
    NewTopicFactory,
    compacted_topic,
    delete_before,
    log_on,
    ms,
    send,
    send_in_transaction,
    sent,
)
from game_analytics_tests.support.samples import (
    DAY,
    DAY_BEFORE,
    NEXT_DAY,
    ONE_HOUR,
    account_of,
    ensure_whole,
    kill,
    land,
    manifest_bytes,
    read_of,
    standing,
    stored,
    utc,
)


def counted(account: Account) -> dict[str, int]:
    """What an account says of messages, without zeros."""
    names = ("read", "gaps", "landed", "ignored", "other_days", "quarantined")
    return {name: getattr(account, name) for name in names if getattr(account, name)}


def test_a_day_is_found_by_its_window(broker: Broker, new_topic: NewTopicFactory, lake: Lake) -> None:
    topic = new_topic()
    stamps = [
        "2025-12-29 12:00",
        "2025-12-29 23:54:59.999",
        "2025-12-29 23:55",
        "2025-12-30 12:00",
        "2025-12-31 00:59:59.999",
        "2025-12-31 01:00",
    ]
    send(broker, topic, [sent(0, stamp) for stamp in stamps])
    landing = land(log_on(broker, topic), lake)
    assert landing.warnings == []
    assert landing.manifest.topic == topic
    assert read_of(landing.manifest) == (2, 5)
    assert counted(account_of(landing.manifest)) == {"read": 3, "landed": 1, "other_days": 2}
    ensure_whole(lake)


def test_late_events_and_stamps_out_of_order_land_with_their_own_day(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic()
    send(
        broker,
        topic,
        [
            sent(0, "2025-12-30 10:00"),
            sent(0, "2025-12-30 08:00"),  # two hours older than the one before it
            sent(0, "2025-12-30 23:59", kill(ts="2025-12-30T23:58:00Z")),
            sent(0, "2025-12-31 00:40", kill(ts="2025-12-30T22:00:00Z")),  # late, but within the hour
            sent(0, "2025-12-31 00:41", kill(ts="2025-12-31T00:41:00Z")),
            sent(0, "2025-12-31 02:00", kill(ts="2025-12-30T22:00:00Z")),  # too late
        ],
    )
    log = log_on(broker, topic)
    assert counted(account_of(land(log, lake).manifest)) == {"read": 5, "landed": 4, "other_days": 1}
    next_day = land(log, lake, day=NEXT_DAY, now=utc("2026-01-01 06:00")).manifest
    assert next_day.missed == {"2025-12-30": 1}


def test_a_topic_that_stamps_messages_itself_lands_by_those_stamps(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    """The producer's stamp is of last year; what counts is when the broker took it, and the event's own ``ts``."""
    topic = new_topic(message_timestamp_type="LogAppendTime")
    started = datetime.now(UTC)
    send(
        broker,
        topic,
        [
            sent(0, "2025-12-30 12:00"),  # no ts: an event of the moment at which the broker took it
            sent(0, "2025-12-30 12:00", kill(ts="2025-12-30T12:00:00Z")),
        ],
    )
    today = started.date()
    landing = land(log_on(broker, topic), lake, day=today, now=datetime.now(UTC))
    if datetime.now(UTC).date() != today:
        pytest.skip("midnight passed in the middle of the test")
    assert counted(account_of(landing.manifest)) == {"read": 2, "landed": 1, "other_days": 1}


def test_values_of_every_kind_are_accounted_for(broker: Broker, new_topic: NewTopicFactory, lake: Lake) -> None:
    topic = new_topic()
    at_noon = ms("2025-12-30 12:00")
    padded = kill("ann", inventory="x" * 900_000)
    send(
        broker,
        topic,
        [
            (0, None, kill("ann"), at_noon),
            (0, b"ann", None, at_noon),
            (0, None, None, at_noon),
            (0, b"ann", b"", at_noon),
            (0, b"ann", padded, at_noon),
            (0, b"ann", b'{"event_type":"LOGIN"}', at_noon),
            (0, b"ann", b"\xff" * 900_000, at_noon),
        ],
    )
    landing = land(log_on(broker, topic), lake)
    assert counted(account_of(landing.manifest)) == {"read": 7, "landed": 2, "ignored": 1, "quarantined": 4}
    assert landing.reasons == {"tombstone": 2, "not_utf8": 1, "not_json": 1}


def test_a_message_of_the_year_2100_shortens_no_day(broker: Broker, new_topic: NewTopicFactory, lake: Lake) -> None:
    topic = new_topic(message_timestamp_after_max_ms=2**62)
    send(
        broker,
        topic,
        [
            sent(0, "2025-12-29 12:00"),
            sent(0, "2025-12-30 10:00"),
            sent(0, "2100-01-01 00:00", kill(ts="2025-12-30T10:01:00Z")),
            sent(0, "2025-12-30 11:00"),
            sent(0, "2025-12-31 12:00"),
        ],
    )
    landing = land(log_on(broker, topic), lake)
    assert counted(account_of(landing.manifest)) == {"read": 4, "landed": 3, "other_days": 1}
    [warning] = landing.warnings
    for part in ("partition 0", "offset 2", "2100-01-01T00:00:00Z", "high watermark 5"):
        assert part in warning


def test_an_aborted_transaction_does_not_count_and_a_committed_one_does(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 11:59")])
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:00")] * 3, Fate.ABORTED):
        pass
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:01")] * 2, Fate.COMMITTED):
        pass
    landing = land(log_on(broker, topic), lake)
    # Three that were aborted and two markers hold no message.
    assert counted(account_of(landing.manifest)) == {"read": 3, "gaps": 5, "landed": 3}
    assert landing.manifest.window_closed


def test_what_compaction_removed_of_a_day_is_counted_as_gaps(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = compacted_topic(broker, new_topic, sent(0, "2025-12-30 11:00", key=b"somebody else"))
    landing = land(log_on(broker, topic), lake)
    assert landing.warnings == []
    # Of offsets 1 to 40 those from 35 on are left.
    assert read_of(landing.manifest) == (0, 41)
    assert counted(account_of(landing.manifest)) == {"read": 7, "gaps": 34, "landed": 7}
    assert landing.manifest.window_closed
    ensure_whole(lake)


def test_an_open_transaction_holds_the_day_back_until_it_ends(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic()
    log = log_on(broker, topic)
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:00")], Fate.COMMITTED):
        send(broker, topic, [sent(0, "2025-12-30 12:01")])
        early = land(log, lake)
        assert not early.manifest.window_closed
        assert "an open transaction" in early.warnings[0]
        assert early.manifest.total()["read"] == 0
    later = land(log, lake)
    assert later.manifest.window_closed
    assert counted(account_of(later.manifest)) == {"read": 2, "gaps": 1, "landed": 2}


def test_empty_and_idle_partitions_are_not_truncated_ones(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(3)
    send(broker, topic, [sent(0, "2025-12-29 12:00"), sent(0, "2025-12-30 12:00")])
    send(broker, topic, [sent(1, "2025-12-01 12:00")] * 3)
    delete_before(admin, topic, 1, 3)  # all that partition 1 ever had was dropped long ago
    manifest = land(log_on(broker, topic), lake).manifest
    assert [read_of(manifest, partition) for partition in (0, 1, 2)] == [(1, 2), (3, 3), (0, 0)]


def test_a_partition_that_was_added_during_the_day_is_landed_with_it(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(1)
    log = log_on(broker, topic)
    send(broker, topic, [sent(0, "2025-12-29 12:00"), sent(0, "2025-12-30 09:00")])
    assert len(land(log, lake, day=DAY_BEFORE).manifest.partitions) == 1
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result()
    send(broker, topic, [sent(0, "2025-12-30 12:00"), sent(1, "2025-12-30 12:00")])
    landing = land(log, lake)
    assert landing.warnings == []
    assert [read_of(landing.manifest, partition) for partition in (0, 1)] == [(1, 3), (0, 1)]
    assert landing.manifest.total()["landed"] == 3


def test_a_day_landed_again_after_later_days_came_has_the_same_bytes(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(2)
    log = log_on(broker, topic)
    later = utc("2026-01-02 12:00")
    for day in ("2025-12-30", "2025-12-31"):
        send(broker, topic, [sent(partition, f"{day} 12:00") for partition in (0, 1, 0)])
    land(log, lake, now=later)
    first = stored(lake)
    send(broker, topic, [sent(partition, "2026-01-01 12:00") for partition in (0, 1, 0)])
    land(log, lake, now=later)
    assert stored(lake) == first


def test_a_day_of_which_retention_took_a_part_fails_and_what_stood_before_stays(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(2)
    log = log_on(broker, topic)
    send(broker, topic, [sent(1, f"2025-12-30 12:0{minute}") for minute in range(5)])
    send(broker, topic, [sent(0, "2025-12-29 12:00"), sent(0, "2025-12-30 12:00")])
    land(log, lake)
    before = stored(lake)
    delete_before(admin, topic, 1, 3)
    with pytest.raises(Truncated) as failure:
        land(log, lake)
    text = str(failure.value)
    for part in ("2025-12-30", "partition 1", "offsets 0 to 2", "2025-12-30T12:03:00Z", "allow_truncated"):
        assert part in text
    assert "partition 0" not in text
    assert stored(lake) == before

    landing = land(log, lake, allow_truncated=True)
    assert landing.truncated == ["partition 1 has lost offsets 0 to 2 (the first one left is of 2025-12-30T12:03:00Z)"]
    assert standing(lake).total()["landed"] == 3


def test_slices_that_land_in_processes_of_their_own_give_the_same_bytes(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(3)
    send(broker, topic, [sent(number % 3, "2025-12-30 12:00", kill(f"p{number}")) for number in range(9_000)])

    def landed_by(workers: int) -> bytes:
        options = LandingOptions(ONE_HOUR, engine=LocalEngine(workers), slice_size=1_000)
        land_day(log_on(broker, topic), lake, DAY, options, clock=lambda: utc("2025-12-31 06:00"))
        return manifest_bytes(lake)

    one = landed_by(1)
    assert len(standing(lake).objects) == 9
    assert landed_by(3) == one


def test_a_day_that_is_still_going_on_lands_what_is_there(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    landing = land(log_on(broker, topic), lake, now=utc("2025-12-30 12:30"))
    assert not landing.manifest.window_closed
    assert landing.manifest.total()["landed"] == 1
