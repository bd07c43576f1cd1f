"""`game-analytics demo`: the whole pipeline for the last seven days in one process, on an embedded S3 server. Leaves no
files behind."""

import time
from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl
from dagster_aws.s3 import S3Resource
from rich.console import Console

from game_analytics.cli.terminal import rich_table
from game_analytics.definitions import pipeline
from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.history import latest_materializations, recorded
from game_analytics.defs.jobs import daily_stats_job, leaderboard_job
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, MemoryEventLogResource, PipelineSettings
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.names import board_key
from game_analytics.leaderboards.top10 import TOP10
from game_analytics.local_stack.embedded_s3 import embedded_s3
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.rules.table import Kind, Table

DAYS = 7
BUCKET = "game-analytics"

_LANDED = ("read", "dagster/row_count", "ignored", "other_days", "quarantined")
_COUNTED = ("duplicates", "dagster/row_count")
_COUNTS = ("read", "landed", "ignored", "other day", "quarantined", "repeats", "players")
_ACCOUNT = {"day": Kind.WORD, **dict.fromkeys(_COUNTS, Kind.NUMBER)}

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_demo(console: Console) -> None:
    """Simulate, land, count and rank the last seven days; print their accounts and the last day's board.

    Raises `GameAnalyticsError` if a run fails.
    """
    started = time.monotonic()
    with embedded_s3(BUCKET) as endpoint, dg.DagsterInstance.ephemeral() as instance:
        lake = _lake_at(endpoint)
        demo = Demo(pipeline(MemoryEventLogResource(), lake, PipelineSettings()), lake, instance)
        console.print(f"An S3 server runs in this process at {endpoint.url}; its files are deleted at exit.\n")
        days = daily.get_partition_keys()[-DAYS:]
        console.print(f"{DAYS} days of simulated matches: raw_events and daily_player_stats")
        for day in days:
            seconds = demo.run(daily_stats_job.name, day)
            console.print(f"  {day}  {demo.landed(day)[1]:>7,} events landed and counted  {seconds:.1f} s")
        console.print("\nThe sensor new_stats_file requests the boards: top10_leaderboard")
        for request in demo.sensor_requests():
            seconds = demo.run(leaderboard_job.name, str(request.partition_key), request)
            console.print(f"  {request.partition_key}  published  {seconds:.1f} s")
        console.print()
        accounts = Table(_ACCOUNT, [[day, *demo.account(day)] for day in days])
        console.print(rich_table(accounts, "Account of each day's messages"))
        console.print()
        console.print(rich_table(TOP10.table(demo.board(days[-1])), f"{TOP10.title} of {days[-1]}"))
    console.print(
        f"\nDone in {time.monotonic() - started:.1f} s. Next: `make dev` for the Dagster UI on an S3 server that keeps "
        "its files."
    )


class Demo:
    """Runs jobs in this process and reads what they have recorded."""

    def __init__(self, definitions: dg.Definitions, lake: LakeResource, instance: dg.DagsterInstance) -> None:
        self._definitions = definitions
        self._lake = lake
        self._instance = instance

    def run(self, job: str, day: str, request: dg.RunRequest | None = None) -> float:
        """Run a job for a day, as the daemon would. Returns the seconds it took."""
        started = time.monotonic()
        tags = {} if request is None else {**request.tags, "dagster/run_key": str(request.run_key)}
        result = self._definitions.resolve_job_def(job).execute_in_process(
            partition_key=day, instance=self._instance, tags=tags, run_config=_QUIET, raise_on_error=False
        )
        if not result.success:
            failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
            causes = [
                str(failure.user_failure_data.description if failure.user_failure_data else failure.error)
                for failure in failures
            ]
            raise GameAnalyticsError(f"{job} failed for {day}: {'; '.join(causes)}")
        return time.monotonic() - started

    def sensor_requests(self) -> Iterator[dg.RunRequest]:
        """The requests of the real sensor, tick by tick, until it requests no more runs."""
        repository = self._definitions.get_repository_def()
        while True:
            with dg.build_sensor_context(
                instance=self._instance,
                repository_def=repository,
                resources={"lake": self._lake, "settings": PipelineSettings()},
            ) as context:
                requests = new_stats_file.evaluate_tick(context).run_requests
            if not requests:
                return
            yield from requests

    def landed(self, day: str) -> list[int]:
        """The counts of messages in the columns `_LANDED`."""
        return self._recorded(raw_events, day, _LANDED)

    def account(self, day: str) -> list[int]:
        """The day's numbers in the columns `_COUNTS`."""
        return self.landed(day) + self._recorded(daily_player_stats, day, _COUNTED)

    def _recorded(self, asset: dg.AssetsDefinition, day: str, names: tuple[str, ...]) -> list[int]:
        record = latest_materializations(self._instance, asset.key, [day])[day]
        return [recorded(record, name) for name in names]

    def board(self, day: str) -> pl.DataFrame:
        board = self._lake.open().read_parquet(board_key(date.fromisoformat(day)))
        if board is None:
            raise GameAnalyticsError(f"There is no board of {day}: the sensor did not request it.")
        return board


def _lake_at(endpoint: S3Endpoint) -> LakeResource:
    return LakeResource(
        bucket=BUCKET,
        s3=S3Resource(
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key_id,
            aws_secret_access_key=endpoint.secret_access_key,
        ),
    )
