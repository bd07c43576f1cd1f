"""Landings of a real topic chain by offset, and none takes away what stood: the stories that real brokers told."""

from collections import Counter
from datetime import date, datetime

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from game_analytics.lake.bucket import Lake
from game_analytics.landing.day import land_day
from game_analytics.landing.late import find_late_events
from game_analytics.landing.losses import Truncated
from game_analytics.landing.report import LandingOptions
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.broker import (
    Fate,
    NewTopicFactory,
    delete_before,
    log_on,
    make_topic,
    offsets,
    send,
    send_in_transaction,
    sent,
)
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.samples import (
    DAY,
    DAY_BEFORE,
    NEXT_DAY,
    ONE_HOUR,
    kill,
    land,
    read_of,
    standing,
    stored,
    utc,
)

FIRST_NIGHT = utc("2025-12-31 01:15")
SECOND_NIGHT = utc("2026-01-01 01:15")
DAYS = [DAY, NEXT_DAY]


def heal_all(log: EventLog, lake: Lake, now: datetime = SECOND_NIGHT) -> None:
    """As the sensor late_events does, until nothing is owed."""
    warnings: list[str] = []
    while found := find_late_events(lake, DAYS, warnings.append):
        day = found[0].day
        finders = tuple(each.found_by for each in found if each.day == day)
        land_day(log, lake, day, LandingOptions(ONE_HOUR, found_by=finders), clock=lambda: now)
    assert warnings == []


def kills(lake: Lake, day: date = DAY) -> dict[str, int]:
    """Who killed how often, by the raw objects of the day."""
    frames = [lake.read_parquet(key) for key in standing(lake, day).keys("raw")]
    return dict(Counter(player for frame in frames if frame is not None for player in frame["player_id"]))


def test_what_arrives_after_its_day_was_landed_is_counted_on_its_day(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    """As a mirror brings it that was down and keeps the time of creation."""
    topic = new_topic(retention_ms=-1)
    send(broker, topic, [sent(0, "2025-12-30 10:00"), sent(0, "2025-12-30 23:40")])
    first = land(log_on(broker, topic), lake, now=FIRST_NIGHT)
    assert (read_of(first.manifest), first.manifest.window_closed) == ((0, 2), True)
    assert first.lags is not None
    send(broker, topic, [sent(0, f"2025-12-30 23:{minute}", kill("bob")) for minute in range(45, 60)])
    later = ["2025-12-31 00:30", "2025-12-31 01:20", "2025-12-31 12:00"]
    send(broker, topic, [sent(0, stamp, kill("eve")) for stamp in later])
    log = log_on(broker, topic)
    second = land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).manifest
    assert (read_of(second), second.missed) == ((2, 20), {"2025-12-30": 15})
    heal_all(log, lake)
    assert kills(lake) == {"ann": 2, "bob": 15}
    assert kills(lake, NEXT_DAY) == {"eve": 3}


def test_what_a_partition_holds_that_was_added_later_is_counted_on_its_day(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(retention_ms=-1)
    send(broker, topic, [sent(0, "2025-12-30 10:00"), sent(0, "2025-12-31 01:05", kill("eve"))])
    land(log_on(broker, topic), lake, now=FIRST_NIGHT)
    admin.create_partitions([NewPartitions(topic, 2)])[topic].result()
    eventually(lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 2, "two partitions")
    send(broker, topic, [sent(1, "2025-12-30 22:00", kill("bob")), sent(1, "2025-12-31 12:00", kill("eve"))])
    log = log_on(broker, topic)
    assert read_of(land(log, lake, day=NEXT_DAY, now=SECOND_NIGHT).manifest, 1) == (0, 2)
    heal_all(log, lake)
    assert kills(lake) == {"ann": 1, "bob": 1}


def twenty_four_kills(broker: Broker, topic: str) -> None:
    send(broker, topic, [sent(0, f"2025-12-30 10:{minute:02}") for minute in range(24)])


def one_kill_and_many_later(broker: Broker, topic: str) -> None:
    """It grows past where the other topic ended: by offsets alone nothing looks wrong."""
    send(broker, topic, [sent(0, "2025-12-30 18:00", kill("eve"))])
    send(broker, topic, [sent(0, f"2025-12-31 10:{minute:02}", kill("eve")) for minute in range(40)])


def test_a_topic_that_was_created_again_does_not_replace_what_was_landed_before(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(retention_ms=-1)
    twenty_four_kills(broker, topic)
    old = land(log_on(broker, topic), lake).manifest
    before = stored(lake)
    admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic gone")
    make_topic(admin, name=topic, retention_ms=-1)
    one_kill_and_many_later(broker, topic)
    log = log_on(broker, topic)
    assert log.identity.topic_id != old.topic_id
    with pytest.raises(Truncated, match="24 events of that landing would be replaced") as raised:
        land(log, lake, now=SECOND_NIGHT)
    assert str(old.topic_id) in str(raised.value)
    assert stored(lake) == before
    assert land(log, lake, now=SECOND_NIGHT, allow_truncated=True).truncated
    assert kills(lake) == {"eve": 1}
    assert before.keys() <= stored(lake).keys()


def test_another_topic_does_not_replace_what_was_landed_from_the_first(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic, renamed = new_topic(retention_ms=-1), new_topic(retention_ms=-1)
    twenty_four_kills(broker, topic)
    one_kill_and_many_later(broker, renamed)
    land(log_on(broker, topic), lake)
    with pytest.raises(Truncated, match="24 events of that landing would be replaced"):
        land(log_on(broker, renamed), lake, now=SECOND_NIGHT)


def test_compaction_since_then_does_not_take_events_from_a_day(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(retention_ms=-1, segment_ms=100)
    keyed = [(f"2025-12-30 12:{n:02}", b"player %d" % (n % 5)) for n in range(20)]
    send(broker, topic, [sent(0, stamp, key=key) for stamp, key in keyed])
    assert land(log_on(broker, topic), lake).manifest.total()["landed"] == 20
    compact(admin, topic)
    log = log_on(broker, topic)

    def is_compacted() -> bool:
        # Each message begins a new file, and the one before it may be compacted then.
        send(broker, topic, [sent(0, "2026-01-05 12:00", key=b"nobody")])
        return len(offsets(log, 0, 0, 20)) == 5

    eventually(is_compacted, "the topic compacted")
    with pytest.raises(Truncated, match="of 20 messages that were read of partition 0 5 are left") as raised:
        land(log, lake, now=utc("2026-01-06 01:15"))
    assert "20 events were landed, 5 would be" in str(raised.value)
    assert standing(lake).total()["landed"] == 20


def compact(admin: AdminClient, topic: str) -> None:
    settings = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0"}
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result()


def test_a_day_of_which_records_were_deleted_stays_and_the_next_one_is_whole(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(retention_ms=-1)
    stamps = ["2025-12-29 12:00", "2025-12-30 10:00", "2025-12-30 12:00", "2025-12-31 02:00", "2025-12-31 12:00"]
    send(broker, topic, [sent(0, stamp) for stamp in stamps])
    log = log_on(broker, topic)
    land(log, lake, day=DAY_BEFORE, now=SECOND_NIGHT)
    land(log, lake, now=SECOND_NIGHT)
    delete_before(admin, topic, 0, 2)
    with pytest.raises(Truncated, match="partition 0 has lost offsets 1 to 1"):
        land(log_on(broker, topic), lake, now=SECOND_NIGHT)
    assert kills(lake) == {"ann": 2}
    landed = land(log_on(broker, topic), lake, day=NEXT_DAY, now=utc("2026-01-02 01:15"))
    assert (landed.warnings, landed.truncated, kills(lake, NEXT_DAY)) == ([], [], {"ann": 2})


def test_a_marker_that_the_broker_stamps_does_not_cut_the_day(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    """Messages of long ago in a transaction of today: its marker is stamped today, and more of the day follows."""
    topic = new_topic(retention_ms=-1)
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 10:00", kill("bob"))], Fate.COMMITTED):
        pass
    send(broker, topic, [sent(0, "2025-12-30 12:00"), sent(0, "2025-12-31 02:00", kill("eve"))])
    landing = land(log_on(broker, topic), lake)
    assert kills(lake) == {"ann": 1, "bob": 1}
    assert (landing.warnings, landing.manifest.total()["gaps"]) == ([], 1)


def test_a_message_that_is_stamped_days_ahead_does_not_hide_what_follows(
    broker: Broker, new_topic: NewTopicFactory, lake: Lake
) -> None:
    topic = new_topic(retention_ms=-1, message_timestamp_after_max_ms=9_223_372_036_854_775_807)
    send(broker, topic, [sent(0, "2025-12-30 10:00"), sent(0, "2026-01-05 12:00", kill("eve"))])
    send(broker, topic, [sent(0, "2025-12-30 12:00", kill("bob")), sent(0, "2025-12-31 12:00", kill("eve"))])
    (warning,) = land(log_on(broker, topic), lake, now=SECOND_NIGHT).warnings
    assert warning.startswith("partition 0, offset 1 is stamped 2026-01-05T12:00:00Z, far past the window's end")
    assert kills(lake) == {"ann": 1, "bob": 1}
