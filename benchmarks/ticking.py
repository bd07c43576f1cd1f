"""Evaluates the sensor `new_stats_file` as a code server does, by turns with bare listings of what it looks at.

``python -m benchmarks.ticking RUNS DAY``, in the environment of a user: DAGSTER_HOME, AWS_*, GAME_ANALYTICS_BUCKET. A
program of its own, so that what a process does at its first tick is seen, and nothing else lives in it.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import boto3
import dagster as dg
import msgspec
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin
from dagster._grpc.impl import get_external_sensor_execution

from game_analytics.definitions import defs
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import BOARDS_PREFIX, STATS_PREFIX
from game_analytics.settings import read_settings

TICKS = 5
"""Of which a run is the median."""


class Taken(msgspec.Struct):
    """Seconds of wall clock; of all but the first one value for each run."""

    first: float
    """The first tick of the process, no file new."""
    listing: list[float]
    none_new: list[float]
    one_new: list[float]


def main() -> None:
    """Answers `Taken` as JSON."""
    runs, day = int(sys.argv[1]), sys.argv[2]
    lake = Lake.open(read_settings().lake)
    client: Any = boto3.Session(region_name=os.environ["AWS_REGION"]).client("s3")
    key = f"{STATS_PREFIX}{day.replace('-', '_')}_events.parquet"
    stands = lake.get(key)
    assert stands is not None  # noqa: S101 - the benchmark has put it there
    with dg.DagsterInstance.get() as instance:
        ref = instance.get_ref()

    def tick() -> list[str]:
        """The days that it asks for."""
        told = get_external_sensor_execution(
            defs.get_repository_def(),
            RegisteredCodeLocationOrigin("game_analytics"),
            ref,
            new_stats_file.name,
            *(None,) * 5,  # nothing that an earlier tick would have left
        )
        if not isinstance(told, SensorExecutionData):
            raise TypeError(f"The tick failed: {told.error}")
        return [str(request.partition_key) for request in told.run_requests or []]

    def listing() -> int:
        paginator = client.get_paginator("list_objects_v2")
        pages = [paginator.paginate(Bucket=lake.bucket, Prefix=prefix) for prefix in (STATS_PREFIX, BOARDS_PREFIX)]
        return sum(page["KeyCount"] for of_prefix in pages for page in of_prefix)

    [first] = _seconds(1, {"first": (tick, [])}).values()
    taken = Taken(first, [], [], [])
    keys = listing()
    for _ in range(runs):
        none_new = _seconds(TICKS, {"listing": (listing, keys), "tick": (tick, [])})
        lake.put(key, stands.body + b"!")
        one_new = _seconds(TICKS, {"listing": (listing, keys), "tick": (tick, [day])})
        lake.put(key, stands.body)
        taken.listing.append(median([none_new["listing"], one_new["listing"]]))
        taken.none_new.append(none_new["tick"])
        taken.one_new.append(one_new["tick"])
    sys.stdout.buffer.write(msgspec.json.encode(taken))


def _seconds(times: int, works: Mapping[str, tuple[Callable[[], object], object]]) -> dict[str, float]:
    """The median of so many turns of each of the works, by turns. Raises if one does not answer what it must."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(times):
        for name, (work, expected) in works.items():
            started = time.perf_counter()
            answer = work()
            seconds[name].append(time.perf_counter() - started)
            if answer != expected:
                raise ValueError(f"{name} answered {answer}, not {expected}")
    return {name: median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main()
