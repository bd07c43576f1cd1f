"""Runs jobs and sensors in the test's process, and reads the lake and the instance afterwards."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import dagster as dg
import polars as pl

from game_analytics.definitions import pipeline
from game_analytics.defs.history import latest_materializations, recorded
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.resources import EventLogResource, LakeResource, MemoryEventLogResource, PipelineSettings
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.errors import Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import CONDITIONS_KEY
from game_analytics.sources.event_log import EventLog

ALL = "__ASSET_JOB"
"""The job of all three assets, which the UI's «Materialize all» launches."""


def given_log(log: EventLog) -> EventLogResource:
    """A resource that opens this log."""

    class GivenLog(EventLogResource):
        def open(self) -> EventLog:
            return log

    return GivenLog()


def small_simulation() -> MemoryEventLogResource:
    return MemoryEventLogResource(events_per_day=2_000)


@dataclass(frozen=True)
class Pipeline:
    """The definitions with a lake and an instance."""

    definitions: dg.Definitions
    lake_resource: LakeResource
    instance: dg.DagsterInstance

    @cached_property
    def lake(self) -> Lake:
        return self.lake_resource.open()

    @property
    def resources(self) -> dict[str, Any]:
        """The resources for sensors and schedules."""
        return {**(self.definitions.resources or {}), "lake": self.lake_resource}

    def run(
        self,
        job: str,
        day: str | None = None,
        *,
        days: tuple[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job for one day or for a range, first and last day included. A failed run is returned, not raised."""
        span = (
            {}
            if days is None
            else {
                "dagster/asset_partition_range_start": days[0],
                "dagster/asset_partition_range_end": days[1],
            }
        )
        return self.definitions.resolve_job_def(job).execute_in_process(
            partition_key=day,
            instance=self.instance,
            tags={**span, **(tags or {})},
            run_config={
                "ops": {asset: {"config": values} for asset, values in (config or {}).items()},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )

    def tick(self, sensor: dg.SensorDefinition = new_stats_file) -> Any:
        """Evaluate a sensor once, with partition keys resolved as by the daemon."""
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.definitions.get_repository_def(),
            resources=self.resources,
        ) as context:
            return sensor.evaluate_tick(context)

    def requests(self) -> list[dg.RunRequest]:
        """The runs that the sensor requests now."""
        return list(self.tick().run_requests or [])

    def requested_days(self) -> list[str]:
        """The days that the sensor requests now."""
        return [str(request.partition_key) for request in self.requests()]

    def run_requested(self) -> dict[str, bool]:
        """Execute the sensor's requests, as the daemon would. Returns by day whether the run succeeded."""
        return {
            str(request.partition_key): self.run(
                leaderboard_job.name,
                request.partition_key,
                tags={**request.tags, "dagster/run_key": str(request.run_key)},
            ).success
            for request in self.requests()
        }

    def recorded(self, asset: str, day: str, name: str) -> Any:
        """An entry of the latest materialization's metadata."""
        return recorded(latest_materializations(self.instance, dg.AssetKey(asset), [day]).get(day), name)

    def recorded_days(self, asset: str) -> list[str]:
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def put(self, key: str, content: bytes | pl.DataFrame) -> str:
        """Write a file as another program would. Returns its ETag."""
        return self.lake.put(key, parquet(content) if isinstance(content, pl.DataFrame) else content)

    def board(self, day: str) -> list[tuple[Any, ...]] | None:
        """The published board's rows."""
        board = self.lake.read_parquet(f"leaderboard/{day.replace('-', '_')}_top10.parquet")
        return None if board is None else board.rows()

    def content(self) -> dict[str, str]:
        """The ETag of each object in the lake, but for the marker of conditions."""
        return {found.key: found.etag for found in self.lake.listing("") if found.key != CONDITIONS_KEY}


@contextmanager
def pipeline_on(
    lake_resource: LakeResource,
    event_log: EventLogResource | None = None,
    settings: PipelineSettings | None = None,
) -> Iterator[Pipeline]:
    with instance_in_memory() as instance:
        definitions = pipeline(event_log or small_simulation(), lake_resource, settings or PipelineSettings())
        yield Pipeline(definitions, lake_resource, instance)


_unused_instances: list[dg.DagsterInstance] = []


@contextmanager
def instance_in_memory() -> Iterator[dg.DagsterInstance]:
    """An empty instance. It is wiped and used again: creating one takes ten times as long."""
    instance = _unused_instances.pop() if _unused_instances else dg.DagsterInstance.ephemeral()
    yield instance
    instance.wipe()
    _unused_instances.append(instance)


def parquet(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet, without this project's metadata."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def foreign_stats(**kills_and_deaths: tuple[int, int]) -> pl.DataFrame:
    """Stats by another program: player to kills and deaths."""
    return pl.DataFrame(
        [(player, kills, deaths) for player, (kills, deaths) in kills_and_deaths.items()],
        schema={"player_id": pl.String, "kills": pl.Int32, "deaths": pl.UInt16},
        orient="row",
    )


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The failed step's message, as the UI shows it."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            metadata = failure.user_failure_data
            return str(metadata.description if metadata is not None else failure.error)
    raise AssertionError("no step failed")


def days_ago(days: int) -> str:
    """A partition key relative to today's UTC date; 1 is the newest partition."""
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


REREAD = {"raw_events": {"reread_quarantine": True}}


class SilentLog(EventLogResource):
    """A cluster that does not answer."""

    def open(self) -> EventLog:
        raise Unavailable("Kafka at gone:9092 does not answer.")
