"""Evaluates the sensor `new_stats_file` as a code server does, alternately with listing the prefixes that it reads.

``python -m benchmarks.ticking RUNS DAY``, in the environment of a user: DAGSTER_HOME, AWS_*, GAME_ANALYTICS_BUCKET. A
process of its own, so that its first tick can be measured.
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
"""Ticks per run, which is their median."""


class Taken(msgspec.Struct):
    """Wall-clock seconds; the lists have one value per run."""

    first: float
    """The first tick of the process, with no new file."""
    listing: list[float]
    none_new: list[float]
    one_new: list[float]


def main() -> None:
    """Prints `Taken` as JSON."""
    runs, day = int(sys.argv[1]), sys.argv[2]
    lake = Lake.open(read_settings().lake)
    client: Any = boto3.Session(region_name=os.environ["AWS_REGION"]).client("s3")
    key = f"{STATS_PREFIX}{day.replace('-', '_')}_events.parquet"
    stats = lake.get(key)
    assert stats is not None  # noqa: S101 - the benchmark has written it
    with dg.DagsterInstance.get() as instance:
        ref = instance.get_ref()

    def tick() -> list[str]:
        """Evaluate the sensor. Returns the days for which it requests runs."""
        data = get_external_sensor_execution(
            defs.get_repository_def(),
            RegisteredCodeLocationOrigin("game_analytics"),
            ref,
            new_stats_file.name,
            *(None,) * 5,  # no state of an earlier tick
        )
        if not isinstance(data, SensorExecutionData):
            raise TypeError(f"The tick failed: {data.error}")
        return [str(request.partition_key) for request in data.run_requests or []]

    def listing() -> int:
        paginator = client.get_paginator("list_objects_v2")
        pages = [paginator.paginate(Bucket=lake.bucket, Prefix=prefix) for prefix in (STATS_PREFIX, BOARDS_PREFIX)]
        return sum(page["KeyCount"] for of_prefix in pages for page in of_prefix)

    [first] = _seconds(1, {"first": (tick, [])}).values()
    taken = Taken(first, [], [], [])
    keys = listing()
    for _ in range(runs):
        none_new = _seconds(TICKS, {"listing": (listing, keys), "tick": (tick, [])})
        lake.put(key, stats.body + b"!")
        one_new = _seconds(TICKS, {"listing": (listing, keys), "tick": (tick, [day])})
        lake.put(key, stats.body)
        taken.listing.append(median([none_new["listing"], one_new["listing"]]))
        taken.none_new.append(none_new["tick"])
        taken.one_new.append(one_new["tick"])
    sys.stdout.buffer.write(msgspec.json.encode(taken))


def _seconds(times: int, works: Mapping[str, tuple[Callable[[], object], object]]) -> dict[str, float]:
    """The median seconds of each function, called alternately ``times`` times. Raises `ValueError` for an
    unexpected result."""
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
