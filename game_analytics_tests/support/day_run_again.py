"""A day that is run again after more messages have arrived: its logs, its settings, and a run of all three assets, also
in another process."""

import multiprocessing
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.engines.local import LocalEngine
from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Manifest
from game_analytics.lake.names import board_key, manifest_key, stats_key
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.harness import ALL, given_log, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import DAY, ONE_HOUR, death, kill

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SLICE = 1_000
SETTINGS = PipelineSettings(workers=1, slice_messages=SLICE)

THEN, NOW = 1_800, 2_500
"""Messages of each partition that have come: two slices of which one is full, and three."""

RANGE = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]

PROCESSES = multiprocessing.get_context("forkserver")
"""Child processes forked from one that has only imported the modules."""
PROCESSES.set_forkserver_preload(["game_analytics_tests.support.day_run_again"])


def day_log(messages: int, partitions: int = 2, day: date = DAY) -> ListedLog:
    """The first messages of each partition. Each thousand has kills and deaths of forty players, repeated deliveries,
    events of the day before, ignored events, and messages that can't be read."""
    return ListedLog(
        {partition: [_message(day, partition, n) for n in range(messages)] for partition in range(partitions)}
    )


def range_log() -> ListedLog:
    """One partition, a few messages on each day of `RANGE`."""
    each_day = 300
    messages = [
        replace(_message(day, 0, number), offset=each_day * index + number)
        for index, day in enumerate(RANGE)
        for number in range(each_day)
    ]
    return ListedLog({0: messages})


def _message(day: date, partition: int, number: int) -> Message:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Message(number, midnight + timedelta(seconds=30 * number), _value(partition, number))


def _value(partition: int, number: int) -> bytes | None:
    player = f"player-{partition}-{number * number % 37}"
    match number % 10:
        case 0 if number % 250 == 0:
            return b"not json" if number % 500 else None
        case 1 | 4:
            return death(player, event_id=f"{partition}-{number}")
        case 2:
            return kill(player, event_id=f"{partition}-{number // 20}")  # every other one is a repeated delivery
        case 3 if number % 100 == 3:
            return kill(player, ts="2025-12-29T23:59:59Z")
        case 5:
            return b'{"event_type": "LOGIN"}'
        case _:
            return kill(player)


@dataclass(frozen=True)
class Whole:
    """What readers see of a day, by key: the manifest, the objects it lists, the stats file, the board."""

    raw: Mapping[str, bytes]
    stats: Mapping[str, bytes]
    board: Mapping[str, bytes]

    def objects(self) -> dict[str, bytes]:
        return {**self.raw, **self.stats, **self.board}


class Torn(Exception):
    """A listed object is gone, even by the current manifest."""


def read_whole(lake: Lake, day: date = DAY) -> Whole:
    """Read as readers do: by the manifest, which is read once more if an object that it lists is gone."""
    return Whole(read_raw(lake, day), _object(lake, stats_key(day)), _object(lake, board_key(day)))


def read_raw(lake: Lake, day: date = DAY) -> dict[str, bytes]:
    for _ in range(2):
        manifest = _object(lake, manifest_key(day))
        listed = [landed.key for body in manifest.values() for landed in Manifest.from_json(body, "").objects]
        found = {key: body for each in listed for key, body in _object(lake, each).items()}
        if len(found) == len(listed):
            return {**manifest, **found}
    raise Torn(f"{len(listed) - len(found)} of {len(listed)} objects that the manifest lists are gone")


def _object(lake: Lake, key: str) -> dict[str, bytes]:
    found = lake.get(key)
    return {} if found is None else {key: found.body}


def put_all(client: "S3Client", bucket: str, objects: Mapping[str, bytes], *, hours_old: float = 0) -> None:
    """Create a bucket with these objects, written this long ago."""
    from moto.s3.models import s3_backends  # noqa: PLC0415 - it takes half a second, and processes don't need it

    client.create_bucket(Bucket=bucket)
    for key, body in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=body)
    [backend] = (account["aws"] for _, account in s3_backends.items() if bucket in account["aws"].buckets)
    for stored in backend.buckets[bucket].keys.values():
        stored.last_modified -= timedelta(hours=hours_old)


def materialize_all(resource: LakeResource, log: ListedLog, settings: PipelineSettings = SETTINGS) -> bool:
    """Run all three assets, as the UI's «Materialize all» does. Returns whether the run succeeded."""
    with pipeline_on(resource, given_log(log), settings) as pipeline:
        return pipeline.run(ALL, DAY.isoformat()).success


def materialize_all_and_exit(endpoint: S3Endpoint, bucket: str, messages: int, workers: int) -> None:
    """The main function of the other process."""
    settings = PipelineSettings(workers=workers, slice_messages=SLICE)
    sys.exit(0 if materialize_all(lake_at(endpoint, bucket), day_log(messages), settings) else 1)


def work_all(lake: Lake, log: ListedLog, day: date = DAY) -> None:
    """The work of the three assets, without Dagster."""
    land(log, lake, day)
    publish_stats(lake, day)
    publish(lake, day)


def publish(lake: Lake, day: date = DAY) -> None:
    """Publish the board, with a new DuckDB."""
    with closing(duckdb.connect()) as connection:
        publish_board(lake, connection, day, min_engagements=0)


def land(log: ListedLog, lake: Lake, day: date = DAY, *, hours_later: float = 0, workers: int = 1) -> None:
    """Land the day with a clock that is ahead."""
    options = LandingOptions(ONE_HOUR, engine=LocalEngine(workers), slice_size=SLICE)
    land_day(log, lake, day, options, clock=lambda: datetime.now(UTC) + timedelta(hours=hours_later))
