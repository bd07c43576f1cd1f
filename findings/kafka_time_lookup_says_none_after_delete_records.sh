#!/usr/bin/env bash
# Expected: after delete_records a topic simply begins later. An offset lookup by time then answers with the first
# remaining message whose timestamp is at or after that time, and with -1 ("none") only where there is no such message.
#
# Seen instead: the broker picks the first segment whose greatest timestamp reaches the time, deleted messages included,
# and searches only that segment. Where only a deleted message gave the segment its greatest timestamp, the answer is
# -1, although the next segments are full of messages that qualify. A later time skips the segment and finds one: the
# lookup says "nothing from 00:05 on", and "offset 3" from 00:55 on. This lasts as long as the segment does. The lookup
# of the greatest timestamp has the same fault: it answers with the offset of a deleted message, below the first
# remaining one.
#
# Output with a Kafka 4.4.0 broker, confluent-kafka 2.16.1 (librdkafka 2.16.0), minutes as timestamps, a segment an
# hour, in short:
#   offset 0: minute 50 | 1: 0 | 2: 1 | next segment | 3: 120 | 4: 121; then delete_records below offset 1
#   lookup for minute 5: -1      for minute 55: offset 3      consumer from offset 1: minutes 0 1 120 121
#   one segment of minutes 500, 0, 1, records below 1 deleted: greatest timestamp at offset 0, first offset 1
#
# Affected: anyone who finds the part of a log to read by time, where timestamps are a little out of order (as those of
# producers' clocks are) and delete_records is used (by Kafka Streams on its repartition topics, by privacy jobs): -1 is
# taken for "nothing since then", and hours of messages are skipped silently.
# Workaround: where records may be deleted, trust -1 only if the last message of the log is older than the time;
# otherwise start at the beginning of the log and filter by timestamp.
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
SETTINGS
run_java=(java -Xmx512m -XX:+UseSerialGC -XX:-UsePerfData -Djava.io.tmpdir="$work" -cp "jars/*")
"${run_java[@]}" kafka.tools.StorageTool format --cluster-id 5L6g3nShT-eMCtK--X86sw --config broker.properties >log 2>&1
"${run_java[@]}" kafka.Kafka broker.properties >>log 2>&1 &
broker=$!

timeout 120 venv/bin/python - "127.0.0.1:$port" <<'PYTHON'
import sys
import time

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

MINUTE = 60_000
midnight = 1_700_006_400_000  # 15 November 2023


def topic(name: str, minutes: list[int], **config: str) -> None:
    admin.create_topics([NewTopic(name, 1, 1, config={"retention.ms": "-1", **config})])[name].result()
    producer = ck.Producer(servers)
    for minute in minutes:
        producer.produce(name, b"kill", timestamp=midnight + minute * MINUTE)
        producer.flush()
    admin.delete_records([ck.TopicPartition(name, 0, 1)])[ck.TopicPartition(name, 0)].result()


def look_up(name: str, spec: OffsetSpec) -> int:
    (answer,) = (each.result() for each in admin.list_offsets({ck.TopicPartition(name, 0): spec}).values())
    return answer.offset


def first_since(minute: int) -> int:
    return look_up("events", OffsetSpec.for_timestamp(midnight + minute * MINUTE))


topic("events", [50, 0, 1, 120, 121], **{"segment.ms": str(60 * MINUTE)})
answers = {minute: first_since(minute) for minute in (0, 5, 50, 55)}
print("look-ups by minute:", answers)

consumer = ck.Consumer({**servers, "group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True})
consumer.assign([ck.TopicPartition("events", 0, 1)])
delivered = []
while (message := consumer.poll(20)) is not None and message.error() is None:
    delivered.append((message.timestamp()[1] - midnight) // MINUTE)
for_times = consumer.offsets_for_times([ck.TopicPartition("events", 0, midnight + 5 * MINUTE)])[0].offset
consumer.close()
print("minutes delivered from offset 1 on:", delivered)
print("offsets_for_times for minute 5:", for_times)

topic("one_segment", [500, 0, 1])
greatest, first = (look_up("one_segment", spec()) for spec in (OffsetSpec.max_timestamp, OffsetSpec.earliest))
print(f"greatest stamp at offset {greatest}, first offset {first}")
assert delivered == [0, 1, 120, 121]
assert answers == {0: 1, 5: -1, 50: -1, 55: 3} and for_times == ck.OFFSET_END
assert (greatest, first) == (0, 1)
PYTHON
