"""Look-ups by time on a real broker, whose index knows more than messages and at times less: what is found is the first
message that a reader gets."""

import time
from datetime import timedelta

from confluent_kafka.admin import AdminClient

from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.sources.event_log import Extent, Found
from game_analytics_tests.support.broker import (
    Fate,
    NewTopicFactory,
    compacted_topic,
    delete_before,
    log_on,
    make_topic,
    ms,
    send,
    send_in_transaction,
    sent,
)
from game_analytics_tests.support.samples import utc

LARGE = b"x" * 400_000
"""Three of these are more than a file of a topic with the smallest files that there are."""


def found(broker: Broker, topic: str, instant: str) -> Found | None:
    return log_on(broker, topic).first_at_or_after(utc(instant))[0]


def test_what_was_aborted_and_its_marker_are_not_found(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 10:00")])
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 11:00")] * 2, Fate.ABORTED):
        pass
    send(broker, topic, [sent(0, "2025-12-30 10:30"), sent(0, "2025-12-30 12:00")])
    # 0 at 10:00 · 1 2 aborted, at 11:00 · 3 its marker, of today · 4 at 10:30 · 5 at 12:00
    assert found(broker, topic, "2025-12-30 10:00") == Found(0, ms("2025-12-30 10:00"))
    assert found(broker, topic, "2025-12-30 10:15") == Found(4, ms("2025-12-30 10:30"))
    assert found(broker, topic, "2025-12-30 11:00") == Found(5, ms("2025-12-30 12:00"))
    assert found(broker, topic, "2025-12-30 11:59:59.999") == Found(5, ms("2025-12-30 12:00"))
    assert found(broker, topic, "2025-12-30 12:00:00.001") is None


def test_many_instants_behind_one_marker_are_found_in_one_pass(broker: Broker, new_topic: NewTopicFactory) -> None:
    """As after a copy that was made in transactions: the first marker is of today, and all else is older."""
    topic = new_topic()
    with send_in_transaction(broker, topic, [sent(0, "2025-12-01 00:00")], Fate.COMMITTED):
        pass
    days = [utc("2025-12-01 00:00") + timedelta(hours=hour) for hour in range(1, 60)]
    send(broker, topic, [(0, None, b"{}", ms(day)) for day in days])
    log = log_on(broker, topic)
    for offset, day in enumerate(days, 2):
        assert log.first_at_or_after(day) == {0: Found(offset, ms(day))}
        assert log.first_at_or_after(day - timedelta(seconds=1)) == {0: Found(offset, ms(day))}
    assert log.first_at_or_after(days[-1] + timedelta(minutes=1)) == {0: None}
    assert log.first_at_or_after(days[3]) == {0: Found(5, ms(days[3]))}


def test_partitions_are_found_each_by_itself(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic(30)
    send(broker, topic, [sent(number, f"2025-12-30 12:{number:02}") for number in range(1, 30)])
    with send_in_transaction(broker, topic, [sent(number, "2025-12-30 11:00") for number in (0, 7)], Fate.ABORTED):
        pass
    assert log_on(broker, topic).first_at_or_after(utc("2025-12-30 12:05")) == {
        number: Found(0, ms(f"2025-12-30 12:{number:02}")) if number >= 5 else None for number in range(30)
    }


def test_what_compaction_left_is_found(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = compacted_topic(broker, new_topic)  # of offsets 0 to 39 those from 34 on, at as many seconds past noon
    assert found(broker, topic, "2025-12-30 12:00:10") == Found(34, ms("2025-12-30 12:00:34"))
    assert found(broker, topic, "2025-12-30 12:00:36") == Found(36, ms("2025-12-30 12:00:36"))


def test_what_is_held_back_by_an_open_transaction_is_told_as_the_broker_tells_it(
    broker: Broker, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 13:00")], Fate.COMMITTED):
        log = log_on(broker, topic)
        assert log.extents() == {0: Extent(0, 2, 1)}
        assert log.first_at_or_after(utc("2025-12-30 12:30")) == {0: Found(1, ms("2025-12-30 13:00"))}


def test_after_a_purge_messages_are_found_that_the_brokers_index_does_not_know(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    """It looks into the first file that ever held a message of that time, until housekeeping takes the file away. Here
    that is a file that stays: it also holds messages that are left."""
    topic = new_topic(segment_bytes=1024 * 1024, retention_ms=-1)
    stamps = ["2025-12-30 08:00", "2026-01-05 10:00", "2025-12-30 07:00", "2025-12-31 00:30", "2025-12-31 02:00"]
    for number, stamp in enumerate(stamps):
        send(broker, topic, [sent(0, stamp, b"{}" if number < 3 else LARGE)])
    send(broker, topic, [sent(0, "2025-12-31 03:00", LARGE)] * 3)
    delete_before(admin, topic, 0, 2)
    log = log_on(broker, topic)
    assert log.extents() == {0: Extent(2, 8, 8)}
    assert log.first_at_or_after(utc("1970-01-01 00:00")) == {0: Found(2, ms("2025-12-30 07:00"))}
    assert log.first_at_or_after(utc("2025-12-29 23:55")) == {0: Found(2, ms("2025-12-30 07:00"))}
    assert log.first_at_or_after(utc("2025-12-30 23:55")) == {0: Found(3, ms("2025-12-31 00:30"))}
    assert log.first_at_or_after(utc("2025-12-31 01:00")) == {0: Found(4, ms("2025-12-31 02:00"))}
    assert log.first_at_or_after(utc("2025-12-31 02:59:59.999")) == {0: Found(5, ms("2025-12-31 03:00"))}
    assert log.first_at_or_after(utc("2025-12-31 03:01")) == {0: None}


def test_a_partition_that_was_purged_of_all_holds_nothing(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic(retention_ms=-1)
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 3)
    delete_before(admin, topic, 0, 3)
    assert found(broker, topic, "2025-12-30 11:00") is None


def test_a_log_that_goes_on_growing_tells_what_came_once_its_extents_are_asked_again(
    broker: Broker, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:00")], Fate.ABORTED):
        pass
    log = log_on(broker, topic)
    assert log.first_at_or_after(utc("2025-12-30 11:00")) == {0: None}
    send(broker, topic, [sent(0, "2025-12-30 12:30")])
    log.extents()
    assert log.first_at_or_after(utc("2025-12-30 11:00")) == {0: Found(2, ms("2025-12-30 12:30"))}


def test_a_purge_between_two_landings_is_noticed(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic(retention_ms=-1)
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 10:00")], Fate.COMMITTED):
        pass
    for hour in range(11, 15):
        send(broker, topic, [sent(0, f"2025-12-30 {hour}:00")])
    log = log_on(broker, topic)
    assert log.first_at_or_after(utc("2025-12-30 11:30")) == {0: Found(3, ms("2025-12-30 12:00"))}
    delete_before(admin, topic, 0, 4)
    assert log.first_at_or_after(utc("2025-12-30 10:30")) == {0: Found(4, ms("2025-12-30 13:00"))}


def test_a_topic_is_told_from_another_one_of_its_name(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    before = log_on(broker, topic).identity
    assert before == log_on(broker, topic).identity
    assert before.topic == topic
    assert before.cluster_id == admin.describe_cluster().result().cluster_id
    made_again(admin, topic)
    after = log_on(broker, topic).identity
    assert after.topic_id != before.topic_id
    assert after.topic_id is not None
    assert after.cluster_id == before.cluster_id
    assert not after.is_same_as(before)


def made_again(admin: AdminClient, topic: str) -> None:
    """Delete the topic and make another one of its name."""
    admin.delete_topics([topic])[topic].result()
    end = time.monotonic() + 30
    while topic in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < end, f"{topic} is still there after 30 s"
        time.sleep(0.05)
    make_topic(admin, 1, name=topic)
