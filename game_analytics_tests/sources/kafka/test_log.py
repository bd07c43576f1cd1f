"""The event log that is a Kafka topic, held against the interface on a real broker."""

import pickle
from datetime import UTC, datetime

import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.slices import MAX_BATCH
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.sources.event_log import MESSAGES, ON_REQUEST, Extent, Found
from game_analytics_tests.support.broker import (
    Fate,
    NewTopicFactory,
    compacted_topic,
    delete_before,
    log_on,
    ms,
    offsets,
    read,
    send,
    send_in_transaction,
    sent,
)
from game_analytics_tests.support.samples import kill, utc


def test_messages_come_as_they_were_sent(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic(2)
    send(
        broker,
        topic,
        [
            (1, b"ann", kill("ann"), ms("2025-12-30 12:00:00.123")),
            (1, None, kill("bob"), ms("2025-12-30 11:00")),  # no key, and stamped before the one it follows
            (1, b"ann", None, ms("2025-12-30 12:00:02")),
            (1, b"", b"", ms("2025-12-30 12:00:03")),
            (0, b"cyd", kill("cyd"), ms("2025-12-30 12:00:04")),
        ],
    )
    [batch] = read(log_on(broker, topic), 1, 0, 4)
    assert batch.schema == MESSAGES
    assert batch.rows() == [
        (0, datetime(2025, 12, 30, 12, 0, 0, 123_000, UTC), kill("ann")),
        (1, utc("2025-12-30 11:00"), kill("bob")),
        (2, utc("2025-12-30 12:00:02"), None),
        (3, utc("2025-12-30 12:00:03"), b""),
    ]


def test_keys_and_headers_come_where_they_are_asked_for(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, kill("ann"), b"ann", headers=[("id", b"\x00\x01"), ("id", None)])
    producer.produce(topic, kill("bob"))
    assert producer.flush(30) == 0
    with log_on(broker, topic).reader(["headers", "key"]) as reader:
        batches = reader.read(0, 0, 2, max_messages=MAX_BATCH, max_bytes=1_000_000)
        messages = pl.concat([batch for batch in batches if batch.height])
    assert messages.schema == {**MESSAGES, "headers": ON_REQUEST["headers"], "key": ON_REQUEST["key"]}
    assert messages.select("value", "key", "headers").rows() == [
        (kill("ann"), b"ann", [{"name": "id", "value": b"\x00\x01"}, {"name": "id", "value": None}]),
        (kill("bob"), None, None),
    ]


def test_an_extent_is_what_a_partition_holds(broker: Broker, admin: AdminClient, new_topic: NewTopicFactory) -> None:
    topic = new_topic(3)
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 5 + [sent(2, "2025-12-30 12:00")])
    delete_before(admin, topic, 0, 2)
    assert log_on(broker, topic).extents() == {0: Extent(2, 5, 5), 1: Extent(0, 0, 0), 2: Extent(0, 1, 1)}


def test_an_open_transaction_keeps_what_follows_it_from_being_read(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 2)
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:01")], Fate.COMMITTED):
        send(broker, topic, [sent(0, "2025-12-30 12:02")])
        assert log_on(broker, topic).extents() == {0: Extent(0, 4, 2)}
    assert log_on(broker, topic).extents() == {0: Extent(0, 5, 5)}  # the marker at its end takes an offset


def test_the_first_message_at_or_after_an_instant_is_found_with_its_timestamp(
    broker: Broker, new_topic: NewTopicFactory
) -> None:
    topic = new_topic(3)
    stamps = ["2025-12-30 10:00", "2025-12-30 12:00", "2025-12-30 11:00", "2025-12-30 13:00"]
    send(broker, topic, [sent(0, stamp) for stamp in stamps] + [sent(1, "2025-12-30 09:00")])
    log = log_on(broker, topic)
    assert log.first_at_or_after(utc("2025-12-30 10:30")) == {0: Found(1, ms("2025-12-30 12:00")), 1: None, 2: None}
    at_nine = log.first_at_or_after(utc("2025-12-30 09:00"))
    assert at_nine == {0: Found(0, ms("2025-12-30 10:00")), 1: Found(0, ms("2025-12-30 09:00")), 2: None}


def test_an_instant_within_a_millisecond_is_after_its_message(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00:00.001"), sent(0, "2025-12-30 12:00:00.002")])
    found = log_on(broker, topic).first_at_or_after(datetime(2025, 12, 30, 12, 0, 0, 1_001, UTC))
    assert found == {0: Found(1, ms("2025-12-30 12:00:00.002"))}


def test_a_topic_may_stamp_messages_itself(broker: Broker, new_topic: NewTopicFactory) -> None:
    before = datetime.now(UTC)
    topic = new_topic(message_timestamp_type="LogAppendTime")
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    log = log_on(broker, topic)
    [batch] = read(log, 0, 0, 1)
    assert ms(before) <= ms(batch["kafka_timestamp"].item()) <= ms(datetime.now(UTC))
    assert log.first_at_or_after(utc("2025-12-31 00:00"))[0] == Found(0, ms(batch["kafka_timestamp"].item()))


def test_only_the_offsets_that_were_asked_for_come(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 1_500)
    log = log_on(broker, topic)
    assert offsets(log, 0, 700, 1_300) == list(range(700, 1_300))
    assert offsets(log, 0, 1_300, 1_500) == list(range(1_300, 1_500))  # goes on where it stands
    assert offsets(log, 0, 10, 12) == [10, 11]
    assert offsets(log, 0, 12, 12) == []


def test_batches_are_bounded_and_cut_at_the_same_places_each_time(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [(0, None, b"x" * (size % 700), ms("2025-12-30 12:00")) for size in range(3_000)])
    log = log_on(broker, topic)
    by_count = [batch.height for batch in read(log, 0, 0, 3_000, max_messages=700)]
    assert by_count == [700, 700, 700, 700, 200]
    by_bytes = read(log, 0, 0, 3_000, max_bytes=100_000)
    assert max(batch["value"].bin.size().sum() for batch in by_bytes) <= 100_000
    assert len(by_bytes) == 11  # a million bytes, less what does not fit at the end of each
    for other in (log, log_on(broker, topic)):
        again = read(other, 0, 0, 3_000, max_bytes=100_000)
        assert [batch.height for batch in again] == [batch.height for batch in by_bytes]


def test_a_message_larger_than_a_batch_comes_alone(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    large = b"x" * 900_000
    send(broker, topic, [sent(0, "2025-12-30 12:00", value) for value in (b"a", large, b"b", b"c", large)])
    batches = read(log_on(broker, topic), 0, 0, 5, max_bytes=500_000)
    assert [batch["value"].to_list() for batch in batches] == [[b"a"], [large], [b"b", b"c"], [large]]


def test_what_was_aborted_is_not_read_and_markers_take_offsets(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")])
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:01")] * 3, Fate.ABORTED):
        pass
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:02")] * 2, Fate.COMMITTED):
        pass
    with send_in_transaction(broker, topic, [sent(0, "2025-12-30 12:03")] * 2, Fate.ABORTED):
        pass
    # 0 · 1 2 3 aborted, 4 its marker · 5 6 committed, 7 its marker · 8 9 aborted, 10 its marker
    log = log_on(broker, topic)
    assert log.extents() == {0: Extent(0, 11, 11)}
    assert offsets(log, 0, 0, 11) == [0, 5, 6]
    assert offsets(log, 0, 1, 5) == []
    assert offsets(log, 0, 3, 6) == [5]
    assert offsets(log, 0, 7, 11) == []


def test_what_compaction_removed_is_passed_over(broker: Broker, new_topic: NewTopicFactory) -> None:
    log = log_on(broker, compacted_topic(broker, new_topic))
    assert log.extents() == {0: Extent(0, 40, 40)}
    assert offsets(log, 0, 0, 40) == [34, 35, 36, 37, 38, 39]
    assert offsets(log, 0, 0, 10) == []
    # What comes after a gap was delivered with it, and must come again.
    assert offsets(log, 0, 10, 36) == [34, 35]
    assert offsets(log, 0, 36, 40) == [36, 37, 38, 39]


def test_an_offset_that_is_gone_is_an_error_and_no_jump(
    broker: Broker, admin: AdminClient, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 10)
    delete_before(admin, topic, 0, 4)
    with pytest.raises(GameAnalyticsError) as failure:
        read(log_on(broker, topic), 0, 2, 10)
    text = str(failure.value)
    for part in (broker.bootstrap_servers, topic, "partition 0", "offset 2 ", "is no longer there"):
        assert part in text


def test_a_message_that_was_damaged_on_the_brokers_disk_is_an_error_and_not_another_message(
    broker: Broker, new_topic: NewTopicFactory
) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00", kill(f"player-{number}")) for number in range(20)])
    log = log_on(broker, topic)
    assert offsets(log, 0, 0, 20) == list(range(20))
    broker.stop()
    [segment] = broker.folder.glob(f"data/{topic}-0/*.log")
    content = segment.read_bytes()
    assert b"player-7" in content
    segment.write_bytes(content.replace(b"player-7", b"PLAYER-7", 1))
    broker.start()
    with pytest.raises(GameAnalyticsError, match=r"partition 0, offset .* can't be read, it is damaged"):
        read(log_on(broker, topic), 0, 0, 20)


def test_reading_leaves_no_trace_in_the_cluster(broker: Broker, admin: AdminClient, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 10)
    assert offsets(log_on(broker, topic), 0, 0, 10) == list(range(10))
    groups = admin.list_consumer_groups().result()
    assert "game-analytics" not in [group.group_id for group in groups.valid]


def test_a_log_can_be_sent_to_another_process(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [sent(0, "2025-12-30 12:00")] * 3)
    log = log_on(broker, topic)
    assert offsets(log, 0, 0, 2) == [0, 1]
    received = pickle.loads(pickle.dumps(log))  # noqa: S301
    assert received.topic == topic
    assert offsets(received, 0, 0, 3) == [0, 1, 2]


def test_a_long_slice_comes_in_batches_of_the_usual_size(broker: Broker, new_topic: NewTopicFactory) -> None:
    topic = new_topic()
    send(broker, topic, [(0, None, b"{}", ms("2025-12-30 12:00"))] * (MAX_BATCH + 10))
    batches = read(log_on(broker, topic), 0, 0, MAX_BATCH + 10)
    assert [batch.height for batch in batches] == [MAX_BATCH, 10]
    assert pl.concat(batches)["kafka_offset"].to_list() == list(range(MAX_BATCH + 10))
