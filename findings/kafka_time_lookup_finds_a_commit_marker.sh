#!/usr/bin/env bash
# Expected: an offset lookup by time answers with the first message whose timestamp is at or after that time, and with
# "none" (-1) where there is no such message. So [lookup(midnight), lookup(next midnight)) are the offsets of a day.
#
# Seen instead: the lookup counts the markers that end Kafka's transactions. A marker has an offset, is never delivered
# to a consumer, and has the broker's time, while the messages of a CreateTime topic have their producers'. Write six
# events of 14 November 2023 today, in two transactions of three. No message has a timestamp after that day, but the
# lookup for 15 November finds offset 3, the first marker; the second half of the day is behind it.
# The isolation level makes no difference. A consumer that reads from offset 3 on gets offset 4 first, an event of the
# 14th.
#
# Output with a Kafka 4.4.0 broker, confluent-kafka 2.16.1 (librdkafka 2.16.0), in short:
#   events of 14 November: offsets 0 1 2 4 5 6
#   lookup for 15 November 00:00: offset 3, with today's timestamp (read_uncommitted and read_committed alike)
#   the day read as [0, 3): 3 of 6 events
#
# Affected: anyone who cuts a topic into days or hours by lookups, after a transactional producer (Kafka Streams, Flink,
# a connector with exactly-once) has written old events again: the day is too short, and nothing fails.
# Workaround: use the answer only as a place to start reading. For the end, read until the timestamps of delivered
# messages are past it for good, or to the end of the log, and filter by timestamp.
set -euo pipefail

work=$(mktemp -d)
broker=
finish() {
    if [ -n "$broker" ]; then
        kill "$broker" 2>/dev/null || true
        wait "$broker" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

echo '<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<packaging>pom</packaging><dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>4.4.0</version></dependency></dependencies></project>' >pom.xml
mvn -q -B -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory=jars
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile confluent-kafka==2.16.1

read -r port controller < <(venv/bin/python -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*[s.getsockname()[1] for s in taken])')
cat >broker.properties <<SETTINGS
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$work/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
SETTINGS
run_java=(java -Xmx512m -XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir="$work" -cp "jars/*")
"${run_java[@]}" kafka.tools.StorageTool format --cluster-id 5L6g3nShT-eMCtK--X86sw --config broker.properties >log 2>&1
"${run_java[@]}" kafka.Kafka broker.properties >>log 2>&1 &
broker=$!

timeout 120 venv/bin/python - "127.0.0.1:$port" <<'PYTHON'
import sys
import time
from datetime import UTC, datetime

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

servers = {"bootstrap.servers": sys.argv[1], "log_level": 0}
admin = AdminClient(servers)
for _ in range(60):  # until the broker answers
    try:
        admin.list_topics(timeout=1)
        break
    except ck.KafkaException:
        time.sleep(0.5)
print("Kafka 4.4.0, confluent-kafka", ck.version(), "librdkafka", ck.libversion()[0])


def at(day: int, hour: int = 0) -> int:
    return int(datetime(2023, 11, day, hour, tzinfo=UTC).timestamp() * 1000)


admin.create_topics([NewTopic("events", 1, 1, config={"retention.ms": "-1"})])["events"].result()
producer = ck.Producer({**servers, "transactional.id": "loader"})
producer.init_transactions()
for hours in ([1, 2, 3], [13, 14, 15]):
    producer.begin_transaction()
    for hour in hours:
        producer.produce("events", b"kill", timestamp=at(14, hour))
    producer.commit_transaction()

consumer = ck.Consumer(
    {**servers, "group.id": "reader", "enable.auto.commit": False, "isolation.level": "read_committed",
     "enable.partition.eof": True}
)  # fmt: skip


def delivered(offset: int) -> list[int]:
    consumer.assign([ck.TopicPartition("events", 0, offset)])
    found = []
    while (message := consumer.poll(20)) is not None and message.error() is None:
        assert at(14) <= message.timestamp()[1] < at(15)
        found.append(message.offset())
    return found


events = delivered(0)
start, end = (consumer.offsets_for_times([ck.TopicPartition("events", 0, at(day))])[0].offset for day in (14, 15))
print("events of 14 November:", events)
print("look-up for 14 November:", start, "; for 15 November:", end)
print("delivered from there on:", delivered(end))
read = [offset for offset in events if start <= offset < end]
print(f"the day read as [{start}, {end}): {len(read)} of {len(events)} events")
assert events == [0, 1, 2, 4, 5, 6] and (start, end) == (0, 3) and delivered(end) == [4, 5, 6]
for level in (ck.IsolationLevel.READ_UNCOMMITTED, ck.IsolationLevel.READ_COMMITTED):
    asked = {ck.TopicPartition("events", 0): OffsetSpec.for_timestamp(at(15))}
    (answer,) = (each.result() for each in admin.list_offsets(asked, isolation_level=level).values())
    print(f"{level.name}: offset {answer.offset}, {time.time() - answer.timestamp / 1000:.0f} s old")
    assert answer.offset == 3 and abs(time.time() - answer.timestamp / 1000) < 600
consumer.close()
PYTHON
