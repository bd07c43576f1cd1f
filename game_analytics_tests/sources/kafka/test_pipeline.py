"""The whole pipeline on a real topic: simulated days as `game-analytics produce` publishes them, up to the board."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from confluent_kafka.admin import AdminClient
from rich.console import Console

from game_analytics.defs.resources import (
    KafkaEventLogResource,
    LakeResource,
    MemoryEventLogResource,
    PipelineSettings,
)
from game_analytics.lake.manifest import Manifest
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.kafka_broker import PASSWORDS, Broker
from game_analytics.simulation.publish_day import produce_day
from game_analytics.simulation.publish_live import Pace, follow_matches
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics_tests.support.broker import credentials, delete_before, send
from game_analytics_tests.support.harness import ALL, Pipeline, failure_of, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.samples import standing
from game_analytics_tests.support.topics import in_memory as delivered_by

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = date(2025, 12, 30)
KEY = str(DAY)
EVENTS = 20_000
PARTITIONS = 4

IN_TWO_PROCESSES = PipelineSettings(workers=2, slice_messages=2_000)


@dataclass(frozen=True)
class Topic:
    """A topic that the first day produced makes."""

    broker: Broker
    name: str

    def produce(self, day: date) -> int:
        """How many messages that were, as the command says."""
        said = StringIO()
        target = KafkaSettings(self.broker.bootstrap_servers, self.name)
        simulation = Simulation(events_per_day=EVENTS)
        produce_day(Console(file=said, width=200), target, day, simulation, partitions=None, create=True)
        told = re.search(r": ([0-9,]+) messages in ", said.getvalue())
        assert told is not None
        return int(told[1].replace(",", ""))

    def follow(self, now: datetime, days: int) -> None:
        """Publish whole days, and of today what there is by now."""
        target = KafkaSettings(self.broker.bootstrap_servers, self.name)
        slept: list[float] = []
        pace = Pace(lambda: now, slept.append, lambda: len(slept) >= 2)  # one is for seeing a second writer
        simulation = Simulation(events_per_day=EVENTS)
        follow_matches(Console(file=StringIO()), target, simulation, days=days, partitions=None, create=True, pace=pace)


@pytest.fixture
def topic(broker: Broker) -> Topic:
    """Nobody has made it yet."""
    return Topic(broker, f"topic-{uuid.uuid4()}")


@pytest.fixture
def pipeline(topic: Topic, lake_resource: LakeResource) -> Iterator[Pipeline]:
    """On the topic and a lake of its own."""
    log = KafkaEventLogResource(bootstrap_servers=topic.broker.bootstrap_servers, topic=topic.name)
    with pipeline_on(lake_resource, log, IN_TWO_PROCESSES) as pipeline:
        yield pipeline


@pytest.fixture
def in_memory(s3: S3Endpoint, client: "S3Client") -> Iterator[Pipeline]:
    """The same days with the same settings from the in-memory log, in another lake."""
    bucket = f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    log = MemoryEventLogResource(events_per_day=EVENTS, partitions=PARTITIONS)
    with pipeline_on(lake_at(s3, bucket), log) as pipeline:
        yield pipeline


def counted(pipeline: Pipeline) -> dict[str, Any]:
    """What the day's metadata says became of the messages."""
    names = ("read", "dagster/row_count", "ignored", "other_days", "quarantined", "missed_days")
    # Of each reason how many, but not which one of them is shown: any of a partition may come first.
    reasons = [line.split(" | ")[:2] for line in pipeline.recorded("raw_events", KEY, "quarantine").splitlines()]
    return {"reasons": reasons, **{name: pipeline.recorded("raw_events", KEY, name) for name in names}}


def per_partition(manifest: Manifest) -> list[tuple[int, ...]]:
    return [
        (each.partition, each.read, each.gaps, each.landed, each.ignored, each.other_days, each.quarantined)
        for each in manifest.partitions
    ]


def stats_and_board(pipeline: Pipeline) -> list[list[tuple[Any, ...]]]:
    keys = ("events/2025_12_30_events.parquet", "leaderboard/2025_12_30_top10.parquet")
    found = [pipeline.lake.read_parquet(key) for key in keys]
    return [frame.rows() for frame in found if frame is not None]


def log_of(pipeline: Pipeline, run_id: str) -> str:
    """What the run's page shows."""
    return "\n".join(record.user_message for record in pipeline.instance.all_logs(run_id))


def test_a_produced_day_becomes_the_board_that_the_in_memory_log_gives(
    topic: Topic, pipeline: Pipeline, in_memory: Pipeline
) -> None:
    published = topic.produce(DAY)
    assert published > EVENTS
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    assert in_memory.run(ALL, KEY).success

    manifest, expected = standing(pipeline.lake), standing(in_memory.lake)
    assert manifest.total()["read"] == published
    assert min(manifest.total()[name] for name in ("landed", "ignored", "other_days", "quarantined")) > 0
    assert per_partition(manifest) == per_partition(expected)
    assert manifest.missed == expected.missed
    assert counted(pipeline) == counted(in_memory)

    stats, board = stats_and_board(pipeline)
    assert len(board) == 10
    assert len(stats) > 100
    assert [stats, board] == stats_and_board(in_memory)


def test_a_day_that_was_followed_becomes_the_board_that_the_in_memory_log_gives(
    topic: Topic, pipeline: Pipeline, in_memory: Pipeline
) -> None:
    topic.follow(datetime(2025, 12, 31, 9, 30, tzinfo=UTC), days=2)
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    assert in_memory.run(ALL, KEY).success
    assert per_partition(standing(pipeline.lake)) == per_partition(standing(in_memory.lake))
    assert counted(pipeline) == counted(in_memory)
    stats, board = stats_and_board(pipeline)
    assert len(board) == 10
    assert [stats, board] == stats_and_board(in_memory)


def test_a_day_of_which_a_killed_follower_repeated_parts_has_the_stats_of_the_in_memory_log(
    topic: Topic, pipeline: Pipeline, in_memory: Pipeline
) -> None:
    """Killed four times amid the day; each time its last 300 messages reach the topic once more."""
    simulation = Simulation(events_per_day=EVENTS)
    for hour in (3, 9, 15, 21):
        now = datetime(2025, 12, 30, hour, tzinfo=UTC)
        topic.follow(now, days=1)
        sent = delivered_by(simulation, datetime(2025, 12, 28, 23, 55, tzinfo=UTC), now)
        send(
            topic.broker,
            topic.name,
            [(partition, None, value, at) for partition, held in sent.items() for at, value in held[-75:]],
        )
    topic.follow(datetime(2025, 12, 31, 9, 30, tzinfo=UTC), days=1)
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    assert in_memory.run(ALL, KEY).success
    assert standing(pipeline.lake).total()["read"] >= standing(in_memory.lake).total()["read"] + 4 * 300
    stats, board = stats_and_board(pipeline)
    assert len(board) == 10
    assert [stats, board] == stats_and_board(in_memory)


def test_a_day_landed_again_after_the_next_one_came_has_the_same_bytes(topic: Topic, pipeline: Pipeline) -> None:
    topic.produce(DAY)
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    first = pipeline.content()
    assert len([key for key in first if key.startswith("raw/2025_12_30/")]) > 2 * PARTITIONS
    topic.produce(DAY + timedelta(days=1))
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    assert pipeline.content() == first

    assert pipeline.run(ALL, days=(KEY, "2025-12-31")).success  # both in one run
    assert {key: etag for key, etag in pipeline.content().items() if "2025_12_30" in key} == first
    assert pipeline.board("2025-12-31") is not None


def test_the_runs_log_holds_progress_and_the_account_of_each_partition(topic: Topic, pipeline: Pipeline) -> None:
    published = topic.produce(DAY)
    result = pipeline.run(ALL, KEY)
    log = log_of(pipeline, result.run_id)
    assert f"2025-12-30: {published:,} messages read in " in log
    for each in standing(pipeline.lake).partitions:
        assert (
            f"partition {each.partition}, offsets {each.first:,} to {each.end:,}: {each.read:,} read, 0 gaps, "
            f"{each.landed:,} landed, {each.ignored:,} ignored, {each.other_days:,} other days, "
            f"{each.quarantined:,} quarantined"
        ) in log
    assert f"all: {published:,} read" in log
    assert pipeline.recorded("raw_events", KEY, "topic") == topic.name
    assert pipeline.recorded("raw_events", KEY, "window_closed") is True
    assert f"| `all` |  |  | {published:,} | 0 |" in pipeline.recorded("raw_events", KEY, "account")


def test_a_day_of_which_retention_took_a_part_fails_and_the_board_stays_unless_that_is_allowed(
    topic: Topic, admin: AdminClient, pipeline: Pipeline
) -> None:
    topic.produce(DAY)
    assert (result := pipeline.run(ALL, KEY)).success, failure_of(result)
    before, read_before = pipeline.content(), standing(pipeline.lake).total()["read"]
    delete_before(admin, topic.name, 2, 1_000)

    failed = pipeline.run(ALL, KEY)
    assert not failed.success
    said = failure_of(failed)
    assert re.search(r"2025-12-30.*partition 2 has lost offsets 0 to 999 \(the first one left is of 2025-12-30T", said)
    assert "allow_truncated" in said
    assert "partition 1" not in said
    assert pipeline.content() == before
    assert pipeline.recorded("raw_events", KEY, "truncated") is None

    allowed = pipeline.run(ALL, KEY, config={"raw_events": {"allow_truncated": True}})
    assert allowed.success
    truncated = pipeline.recorded("raw_events", KEY, "truncated")
    assert truncated.startswith("partition 2 has lost offsets 0 to 999 (the first one left is of 2025-12-30T")
    assert truncated in log_of(pipeline, allowed.run_id)
    assert standing(pipeline.lake).total()["read"] == read_before - 1_000
    assert pipeline.board(KEY) is not None
    assert pipeline.content()["leaderboard/2025_12_30_top10.parquet"] != before["leaderboard/2025_12_30_top10.parquet"]


def test_a_password_reaches_the_processes_and_no_page(
    topic: Topic, lake_resource: LakeResource, tmp_path: Path
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in credentials("reader").items()))
    published = topic.produce(DAY)
    log = KafkaEventLogResource(
        bootstrap_servers=topic.broker.sasl_bootstrap_servers, topic=topic.name, config_file=str(file)
    )
    with pipeline_on(lake_resource, log, IN_TWO_PROCESSES) as pipeline:
        result = pipeline.run(ALL, KEY)
        assert result.success
        assert pipeline.recorded("raw_events", KEY, "read") == published
        records = pipeline.instance.all_logs(result.run_id)
    shown = "\n".join(map(dg.serialize_value, records))
    assert topic.name in shown
    assert PASSWORDS["reader"] not in shown
