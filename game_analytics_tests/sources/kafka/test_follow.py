"""`game-analytics produce --follow` on a real broker, with a clock that is moved, and as a process that is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.rules.days import window_of
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.publish_live import Pace, follow_matches
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.topic import Topic as KafkaTopic
from game_analytics_tests.support.broker import Sent, send
from game_analytics_tests.support.samples import utc
from game_analytics_tests.support.topics import Delivered, Topic, in_memory, two_partitions

DAY = date(2025, 12, 30)
START = utc("2025-12-29 23:55")
"""Where the window of that day begins."""
NOON = utc("2025-12-31 12:00")
"""When the clock begins unless told otherwise: a day and a half after that."""

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class MovedClock:
    """Time that passes only while nothing is done: a step at each sleep, and after the last one it is time to stop."""

    now: datetime = NOON
    steps: Sequence[timedelta] = (SECOND,)
    before_each_step: Callable[[], None] = lambda: None
    taken: int = field(default=0, init=False)

    def sleep(self, _seconds: float) -> None:
        self.before_each_step()
        if 0 <= self.taken < len(self.steps):
            self.now += self.steps[self.taken]
        self.taken += 1

    def pace(self, create: bool) -> Pace:
        """A topic that is there is looked at for a while before anything is sent, which takes none of the steps."""
        self.taken = 0 if create else -1
        return Pace(lambda: self.now, self.sleep, lambda: self.taken > len(self.steps))


def follow(
    topic: Topic,
    simulation: Simulation,
    clock: MovedClock,
    *,
    days: int = 1,
    create: bool = False,
    patience: timedelta = 2 * MINUTE,
    said: StringIO | None = None,
) -> str:
    """What the command says until the clock has taken its steps."""
    said = StringIO() if said is None else said
    target = KafkaSettings(topic.broker.bootstrap_servers, topic.name, patience=patience)
    console = Console(file=said, width=80)
    follow_matches(console, target, simulation, days=days, partitions=None, create=create, pace=clock.pace(create))
    return said.getvalue()


def refusal_of(topic: Topic, simulation: Simulation, clock: MovedClock | None = None) -> str:
    with pytest.raises(GameAnalyticsError) as refusal:
        follow(topic, simulation, clock or MovedClock())
    return str(refusal.value)


def due_by(simulation: Simulation, now: datetime) -> dict[int, int]:
    """How many messages the in-memory log has delivered from `START` on."""
    log = MemoryEventLog(simulation, clock=lambda: now)
    firsts = log.first_at_or_after(START)
    return {
        partition: extent.high - first.offset
        for partition, extent in log.extents().items()
        if (first := firsts[partition]) is not None
    }


def test_at_any_moment_the_topic_holds_what_the_in_memory_log_has_delivered_by_then(unmade: Topic) -> None:
    simulation = two_partitions()
    steps = [SECOND, 59 * SECOND, 7 * MINUTE, 3 * HOUR, *[20 * SECOND] * 20, 11 * HOUR, 2 * HOUR, timedelta(0), MINUTE]
    looks: list[tuple[dict[int, int], dict[int, int]]] = []

    def compare() -> None:
        looks.append((unmade.ends(), due_by(simulation, clock.now)))

    clock = MovedClock(steps=steps, before_each_step=compare)
    follow(unmade, simulation, clock, create=True)
    assert clock.now > utc("2026-01-01 00:00")
    assert len(looks) == len(steps) + 1
    for held, expected in looks:
        assert held == expected
    assert len({sum(held.values()) for held, _ in looks}) > 8  # it did not all come at once
    assert unmade.delivered() == in_memory(simulation, START, clock.now)


def test_keys_are_those_that_a_produced_day_has(topic_of: Callable[..., Topic]) -> None:
    followed, produced = topic_of(), topic_of()
    follow(followed, two_partitions(), MovedClock(utc("2025-12-31 01:00"), []))
    produced.produce(DAY, two_partitions())
    assert followed.messages() == produced.messages()


def test_it_says_each_day_that_is_complete_and_then_a_line_a_minute(topic_of: Callable[..., Topic]) -> None:
    said = follow(topic_of(), two_partitions(20_000), MovedClock(NOON, [SECOND] * 150), days=3)
    lines = said.splitlines()
    assert lines[0].endswith("what is delivered from 2025-12-27T23:55:02Z on")  # the first message after 23:55
    assert lines[1:4] == [f"2025-12-{day} is complete: 20,000 messages" for day in (28, 29, 30)]
    assert lines[4].startswith("Caught up, ")
    # Each comes with the first message after its minute.
    assert [line[:16] for line in lines[5:-1]] == ["2025-12-31T12:01", "2025-12-31T12:02"]
    assert lines[-1].startswith("Stopped, ")
    assert lines[-1].endswith("Started again, it resumes where the topic ends")


def sent_of(messages: dict[int, list[Delivered]], cuts: dict[int, int]) -> list[Sent]:
    """The first ``cuts[partition]`` messages of each partition."""
    return [(partition, None, value, at) for partition, cut in cuts.items() for at, value in messages[partition][:cut]]


def first_deliveries(messages: Sequence[Delivered]) -> list[Delivered]:
    """The messages without those that are there for the second time, byte for byte."""
    return list(dict.fromkeys(messages))


def assert_complete_and_repeats_are_identical(topic: Topic, expected: dict[int, list[Delivered]]) -> None:
    """Every message is there, in order and at the partition's place in the in-memory log; all else are copies."""
    for partition, held in topic.delivered().items():
        assert first_deliveries(held) == first_deliveries(expected[partition]), partition
        assert Counter(held) >= Counter(expected[partition]), partition


def test_started_again_it_resumes_at_its_newest_message_however_long_ago_that_was(
    topic_of: Callable[..., Topic],
) -> None:
    simulation, topic = two_partitions(), topic_of()
    held = []
    for now in (NOON, NOON, NOON + SECOND, NOON + 3 * HOUR, utc("2026-01-07 08:30")):
        clock = MovedClock(now, [SECOND])
        follow(topic, simulation, clock)
        held.append(sum(topic.ends().values()))
        assert_complete_and_repeats_are_identical(topic, in_memory(simulation, START, clock.now))
    assert held[1] == held[0] + 2  # the newest of each partition is there once more
    assert held[-1] > held[3] + 6 * 2_000
    assert held[3] > held[2]


def test_a_produced_day_is_continued(topic_of: Callable[..., Topic]) -> None:
    simulation, topic = two_partitions(), topic_of()
    topic.produce(DAY, simulation)
    clock = MovedClock(NOON)
    follow(topic, simulation, clock, days=0)
    assert_complete_and_repeats_are_identical(topic, in_memory(simulation, START, clock.now))


def test_cut_off_in_the_middle_of_a_millisecond_or_before_a_partitions_first_message_nothing_is_missing(
    topic_of: Callable[..., Topic],
) -> None:
    simulation = Simulation(events_per_day=5_000_000, partitions=2)
    whole = in_memory(simulation, START, START + MINUTE)
    twins = [index for index, (before, after) in enumerate(pairwise(whole[0]), 1) if before[0] == after[0]]
    assert len(twins) > 10
    for cuts in ({0: twins[0], 1: 5}, {0: twins[5] + 1, 1: 0}, {0: twins[-1], 1: len(whole[1])}):
        topic = topic_of()
        send(topic.broker, topic.name, sent_of(whole, cuts))
        follow(topic, simulation, MovedClock(START + MINUTE, []), days=0)
        assert_complete_and_repeats_are_identical(topic, whole)


def test_a_partition_without_messages_begins_with_the_others_also_when_days_have_gone_by(
    topic_of: Callable[..., Topic],
) -> None:
    simulation, topic = two_partitions(), topic_of()
    send(topic.broker, topic.name, sent_of(in_memory(simulation, START, NOON), {0: 0, 1: 1}))
    clock = MovedClock(utc("2026-01-03 08:30"), [])
    follow(topic, simulation, clock, days=1)
    assert_complete_and_repeats_are_identical(topic, in_memory(simulation, START, clock.now))


def test_a_topic_with_somebody_elses_message_is_refused(topic_of: Callable[..., Topic]) -> None:
    simulation, topic = two_partitions(), topic_of()
    follow(topic, simulation, MovedClock())
    send(topic.broker, topic.name, [(1, None, b"somebody else's", 1_600_000_000_000)])
    held = topic.ends()
    said = refusal_of(topic, simulation)
    assert f"partition 1, offset {held[1] - 1} (stamped 2020-09-13T12:26:40Z) is another message" in said
    assert "Nothing was sent" in said
    assert topic.ends() == held


@pytest.mark.parametrize("stamped", [4_102_444_800_000, 2**60, 1])
def test_a_message_of_another_age_is_refused(stamped: int, topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(message_timestamp_after_max_ms=2**62)
    send(topic.broker, topic.name, [(0, None, b"somebody else's", stamped)])
    assert "partition 0, offset 0 (stamped " in refusal_of(topic, two_partitions())
    assert topic.ends() == {0: 1, 1: 0}


def test_other_settings_than_those_it_was_published_with_are_refused(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of()
    follow(topic, two_partitions(), MovedClock())
    held = topic.ends()
    assert "other settings (--events, --seed, shares)" in refusal_of(topic, two_partitions(seed=8))
    assert topic.ends() == held


@pytest.mark.parametrize(
    ("setting", "value"),
    [("retention.ms", "86400000"), ("cleanup.policy", "compact"), ("message.timestamp.type", "LogAppendTime")],
)
def test_a_topic_that_would_not_keep_the_days_is_refused(
    setting: str, value: str, topic_of: Callable[..., Topic]
) -> None:
    topic = topic_of(**{setting.replace(".", "_"): value})
    assert f"would not keep the day: {setting}={value} " in refusal_of(topic, two_partitions())
    assert topic.ends() == {0: 0, 1: 0}


def test_somebody_who_writes_while_it_begins_is_noticed_before_anything_is_sent(
    topic_of: Callable[..., Topic],
) -> None:
    simulation, topic = two_partitions(), topic_of()
    whole = in_memory(simulation, START, NOON)

    def write() -> None:
        send(topic.broker, topic.name, sent_of(whole, {0: 3}))

    said = refusal_of(topic, simulation, MovedClock(before_each_step=write))
    assert "partition 0 by +3. Another program changes it too" in said
    assert topic.ends() == {0: 3, 1: 0}
    # If it came from one that was killed just before, starting again resumes behind it.
    follow(topic, simulation, MovedClock(NOON, []))
    assert_complete_and_repeats_are_identical(topic, whole)


def test_somebody_who_writes_meanwhile_is_noticed_within_a_minute(unmade: Topic) -> None:
    came: list[datetime] = []

    def intrude() -> None:
        if clock.taken == 100:
            came.append(clock.now)
            send(unmade.broker, unmade.name, [(0, None, b"somebody else's", 1_767_182_400_000)])

    clock = MovedClock(steps=[SECOND] * 300, before_each_step=intrude)
    with pytest.raises(GameAnalyticsError, match=r"partition 0 by \+1\. Another program"):
        follow(unmade, two_partitions(200_000), clock, create=True)
    assert came
    assert clock.now - came[0] < 65 * SECOND


@contextmanager
def back_afterwards(broker: Broker) -> Iterator[None]:
    """Whatever becomes of the test, the others find the broker up."""
    try:
        yield
    finally:
        with suppress(GameAnalyticsError):  # it runs already
            broker.start()


def test_a_broker_that_goes_away_is_waited_for_with_one_line(unmade: Topic) -> None:
    simulation, broker = two_partitions(20_000), unmade.broker
    back = threading.Timer(8, broker.start)

    def lose_the_broker() -> None:
        if clock.taken == 2:
            broker.stop()
            back.start()

    clock = MovedClock(steps=[MINUTE] * 5, before_each_step=lose_the_broker)
    with back_afterwards(broker):
        started = time.monotonic()
        said = follow(unmade, simulation, clock, create=True)
        assert time.monotonic() - started > 8
        assert said.count("No broker answers. Trying again for 120 s.") == 1
        assert unmade.delivered() == in_memory(simulation, START, clock.now)


def test_a_broker_that_stays_away_ends_it_and_started_again_it_goes_on(unmade: Topic) -> None:
    simulation, broker = two_partitions(20_000), unmade.broker
    clock = MovedClock(steps=[MINUTE] * 5, before_each_step=lambda: broker.stop() if clock.taken == 2 else None)
    with back_afterwards(broker):
        with pytest.raises(GameAnalyticsError) as failure:
            follow(unmade, simulation, clock, create=True, patience=8 * SECOND)
        assert "Kafka did not take all messages: no broker took any for 8 s (_TRANSPORT: " in str(failure.value)
        assert "Started again, it resumes" in str(failure.value)
        assert clock.now == NOON + 3 * MINUTE
    later = MovedClock(NOON + 4 * MINUTE, [])
    follow(unmade, simulation, later)
    assert_complete_and_repeats_are_identical(unmade, in_memory(simulation, START, later.now))


def test_a_topic_is_looked_at_again_as_soon_as_its_broker_is_back(topic_of: Callable[..., Topic]) -> None:
    """The client knows a leader that is no more, and would ask it in vain until its time is up, which is an error."""
    topic = topic_of()
    looked_at = KafkaTopic(KafkaSettings(topic.broker.bootstrap_servers, topic.name))
    assert looked_at.ends(2) == {0: 0, 1: 0}
    topic.broker.stop()
    topic.broker.start()
    assert looked_at.ends(2) == {0: 0, 1: 0}


def test_told_to_stop_while_the_broker_is_away_it_does_not_wait_for_it(unmade: Topic) -> None:
    clock = MovedClock(steps=[HOUR] * 2, before_each_step=lambda: unmade.broker.stop() if clock.taken == 1 else None)
    pace = clock.pace(create=True)
    with back_afterwards(unmade.broker):
        target = KafkaSettings(unmade.broker.bootstrap_servers, unmade.name)
        said = StringIO()
        follow_matches(
            Console(file=said, width=80),
            target,
            two_partitions(),
            days=1,
            partitions=None,
            create=True,
            pace=Pace(pace.clock, pace.sleep, lambda: clock.taken >= 2 and "No broker answers" in said.getvalue()),
        )
    assert "Stopped, " in said.getvalue()


def test_a_message_that_the_topic_refuses_is_not_passed_over(topic_of: Callable[..., Topic]) -> None:
    topic = topic_of(max_message_bytes=2_000)
    simulation = two_partitions(200_000)
    assert "Kafka did not take all messages: MSG_SIZE_TOO_LARGE" in refusal_of(topic, simulation)
    whole = in_memory(simulation, START, NOON)
    for partition, held in topic.delivered().items():
        assert held == whole[partition][: len(held)]


REAL = Simulation(events_per_day=200_000, partitions=2)


@contextmanager
def started(topic: Topic, days: int) -> Iterator[subprocess.Popen[str]]:
    """The command, with the real clock; always ended."""
    words = ["produce", "--follow", "--days", str(days), "--events", str(REAL.events_per_day)]
    where = ["--bootstrap-servers", topic.broker.bootstrap_servers, "--topic", topic.name]
    where += ["--create-topic", "--partitions", str(REAL.partitions)]
    command = [str(Path(sys.executable).with_name("game-analytics")), *words, *where]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env={"PATH": os.defpath}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


def holds(topic: Topic, messages: int) -> bool:
    return sum(topic.ends().values()) >= messages


def start_of(topic: Topic) -> datetime:
    """Where the window begins of the day that the topic begins with."""
    first = min(found[0][0] for found in topic.delivered().values())
    return window_of((datetime.fromtimestamp(first / 1000, UTC) + 5 * MINUTE).date(), HOUR).start


def line_with(process: subprocess.Popen[str], words: str) -> list[str]:
    """The lines up to the one that says this."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"it ended without saying {words!r}: {lines}")


def test_killed_at_any_time_nothing_is_missing_and_repeats_are_identical(unmade: Topic) -> None:
    topic, held = unmade, [0]
    for more in (1, 20_000, 60_000):
        with started(topic, days=1) as process:
            wait_until(partial(holds, topic, held[-1] + more), f"{more} messages more")
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
        held.append(sum(topic.ends().values()))
    assert held[-1] < 200_000, "it was killed too late to be in the middle"
    with started(topic, days=1) as process:
        said = line_with(process, "Caught up")
        before = datetime.now(UTC)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopped, " in rest
    assert "is complete: 200,000 messages" in "".join(said)
    delivered, start = topic.delivered(), start_of(topic)
    expected = in_memory(REAL, start, datetime.now(UTC))
    due = in_memory(REAL, start, before - MINUTE)  # on a busy machine its line takes a while to be read
    for partition, found in delivered.items():
        messages = first_deliveries(found)
        assert messages == first_deliveries(expected[partition])[: len(messages)]
        assert not Counter(due[partition]) - Counter(found)
        assert (
            len(found) - len(messages) < 20_000 + 1_000
        )  # what was on its way at a kill, and what the simulation repeats
    assert sum(map(len, delivered.values())) > 200_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_today_comes_as_it_happens_until_a_signal_ends_it_well(number: signal.Signals, unmade: Topic) -> None:
    delays: list[float] = []
    with started(unmade, days=0) as process:
        assert f"Created the topic {unmade.name}, 2 partitions" in line_with(process, "Caught up")[0]
        caught_up_ms, end = time.time() * 1000, time.monotonic() + 60
        with closing(reader_of(unmade)) as reader:
            while len(delays) < 5:
                assert time.monotonic() < end, "nothing comes"
                for message in reader.consume(1_000, 0.2):
                    arrived_ms, stamped_ms = time.time() * 1000, message.timestamp()[1]
                    assert stamped_ms < arrived_ms, "a message came before its moment"
                    if stamped_ms > caught_up_ms:
                        delays.append(arrived_ms - stamped_ms)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert rest.splitlines()[-1].startswith("Stopped, ")
    assert max(delays) < 10_000


def reader_of(topic: Topic) -> Consumer:
    reader = Consumer({"bootstrap.servers": topic.broker.bootstrap_servers, "group.id": "test", "log_level": 0})
    reader.assign([TopicPartition(topic.name, partition, 0) for partition in topic.ends()])
    return reader
