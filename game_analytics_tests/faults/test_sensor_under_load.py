"""Hundreds of files are written within seconds, some of them bad, and some are overwritten while the sensor and its
runs work: each day's board ends up to date, and no day gets more runs than versions of its file."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from io import BytesIO
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.history import recorded
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.defs.sensors.new_stats_file import MAX_REQUESTS
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import board_key
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.day_run_again import PROCESSES
from game_analytics_tests.support.harness import Pipeline, small_simulation
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.many_stats_files import Plan, Rewrite, Version, foreign_keys, many_files
from game_analytics_tests.support.ticks import stats_file

pytestmark = pytest.mark.trial

SEED = 20251230
WRITERS = 4
WORKERS = 2
STILL_QUEUED = 8
"""Runs queued or in progress at the next tick."""

PATIENT = 6
"""Attempts per S3 request: S3 is not under test, and its server may be slow on a busy machine."""

CPU_SECONDS_AT_MOST = 1.0
EVALUATED_AT_MOST = 3


@dataclass(frozen=True)
class Place:
    """A lake and an instance, to be opened in another process."""

    endpoint: S3Endpoint
    bucket: str
    home: Path

    @contextmanager
    def open(self) -> Iterator[Pipeline]:
        lake = lake_at(self.endpoint, self.bucket, PATIENT)
        with self.instance() as instance:
            yield Pipeline(definitions_on(small_simulation(), lake, PipelineSettings()), lake, instance)

    def instance(self) -> dg.DagsterInstance:
        """An instance on SQLite files. The events of all runs are in one file, since creating a file per run would take
        longer than the run; output is not captured."""
        return dg.DagsterInstance.local_temp(
            str(self.home),
            overrides={
                "event_log_storage": {
                    "module": "dagster._core.storage.event_log",
                    "class": "ConsolidatedSqliteEventLogStorage",
                    "config": {"base_dir": str(self.home / "events")},
                },
                "compute_logs": {
                    "module": "dagster._core.storage.noop_compute_log_manager",
                    "class": "NoOpComputeLogManager",
                },
            },
        )


def execute(place: Place, run_id: str) -> bool:
    """Executes a launched run in a process. Returns whether it succeeded."""
    pipeline = _opened_once(place)
    run = pipeline.instance.get_run_by_id(run_id)
    assert run is not None
    job = InMemoryJob(pipeline.definitions.resolve_job_def(leaderboard_job.name))
    events = list(execute_run_iterator(job, run, pipeline.instance))
    return events[-1].event_type is dg.DagsterEventType.RUN_SUCCESS


@cache
def _opened_once(place: Place) -> Pipeline:
    """A pipeline for all runs of this process, with one S3 client: creating one takes as long as ranking a small
    day."""
    resource = lake_at(place.endpoint, place.bucket, PATIENT)
    lake = resource.open()

    class OpenedLake(LakeResource):
        def open(self) -> Lake:
            return lake

    opened = OpenedLake(bucket=resource.bucket, s3=resource.s3)
    return Pipeline(definitions_on(small_simulation(), opened, PipelineSettings()), opened, place.instance())


class Writer:
    """Writes the files with several threads, and overwrites them in one thread, in the order of the plan."""

    def __init__(self, lake: Lake, plan: Plan, thread: ThreadPoolExecutor) -> None:
        self._lake, self._plan, self._thread = lake, plan, thread
        self.versions = {day: [version] for day, version in plan.landed.items()}
        self._landing = thread.submit(self._land)
        self._rewriting: list[Future[None]] = []

    @property
    def has_landed(self) -> bool:
        return self._landing.done()

    @property
    def is_finished(self) -> bool:
        return len(self._rewriting) == len(self._plan.rewrites) and all(each.done() for each in self._rewriting)

    def tick_begins(self, number: int) -> None:
        began = time.monotonic()
        due = [rewrite for rewrite in self._plan.rewrites if rewrite.tick == number]
        for rewrite in sorted(due, key=lambda each: each.after_seconds):
            self._rewriting.append(self._thread.submit(self._rewrite, rewrite, began))

    def raise_failures(self) -> None:
        for each in (self._landing, *self._rewriting):
            each.result()

    def _land(self) -> None:
        files = {stats_file(day): version.body for day, version in self._plan.landed.items()} | foreign_keys()
        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(self._lake.put, files.keys(), files.values()))

    def _rewrite(self, rewrite: Rewrite, began: float) -> None:
        time.sleep(max(0.0, began + rewrite.after_seconds - time.monotonic()))
        self.versions[rewrite.day].append(rewrite.version)
        self._lake.put(stats_file(rewrite.day), rewrite.version.body)


@dataclass
class Ticks:
    """The ticks' requests and durations."""

    requested: list[str] = field(default_factory=list)
    wall_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    outcomes: list[Future[bool]] = field(default_factory=list)
    last_message: str = ""


def tick_on(pipeline: Pipeline, place: Place, workers: ProcessPoolExecutor, writer: Writer) -> Ticks:
    """Ticks, with runs in progress meanwhile, until one after all writes and runs requests nothing."""
    ticks = Ticks()
    for number in count():
        at_rest = writer.is_finished and all(each.done() for each in ticks.outcomes)
        never_requested = len(writer.versions.keys() - set(ticks.requested)) if writer.has_landed else 0
        writer.tick_begins(number)
        evaluated = tick_measured(pipeline, ticks)
        requests = list(evaluated.run_requests or [])
        if len(requests) < min(never_requested, MAX_REQUESTS):
            ticks.wrong.append(
                f"tick {number} asks for {len(requests)} runs, {never_requested} days were never asked for"
            )
        if at_rest and not requests:
            ticks.last_message = str(evaluated.skip_message)
            return ticks
        ticks.requested += [str(request.partition_key) for request in requests]
        ticks.outcomes += [workers.submit(execute, place, launched(pipeline, request)) for request in requests]
        wait_for(ticks.outcomes, left=STILL_QUEUED if requests else 0)
    raise AssertionError("it counts without end")


def tick_measured(pipeline: Pipeline, ticks: Ticks) -> Any:
    """Evaluate a tick, again if it took too long: with runs on each core, a second of CPU time may be half a second of
    work. The fastest evaluation counts; a tick has no effect before its runs are launched."""
    measured: list[tuple[float, float]] = []
    while len(measured) < EVALUATED_AT_MOST:
        began, began_cpu = time.perf_counter(), time.thread_time()
        evaluated = pipeline.tick()
        measured.append((time.thread_time() - began_cpu, time.perf_counter() - began))
        if measured[-1][0] < CPU_SECONDS_AT_MOST:
            break
    cpu_seconds, wall_seconds = min(measured)
    ticks.cpu_seconds.append(cpu_seconds)
    ticks.wall_seconds.append(wall_seconds)
    return evaluated


def launched(pipeline: Pipeline, request: dg.RunRequest) -> str:
    """Create the run of a request as the daemon does, before a process has started it. Returns its id."""
    run = pipeline.instance.create_run_for_job(
        pipeline.definitions.resolve_job_def(leaderboard_job.name),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={**request.tags, "dagster/run_key": str(request.run_key)},
    )
    return run.run_id


def wait_for(outcomes: Sequence[Future[bool]], left: int) -> None:
    while len(running := [each for each in outcomes if not each.done()]) > left:
        wait(running, return_when=FIRST_COMPLETED)


@dataclass(frozen=True)
class Board:
    """The lake's contents."""

    rows: tuple[tuple[object, ...], ...]
    made_from: str


def boards_in(lake: Lake, days: Sequence[str]) -> dict[str, Board]:
    found: dict[str, Board] = {}
    for day in days:
        stored = lake.get(board_key(date.fromisoformat(day)))
        if stored is not None:
            made_from = pl.read_parquet_metadata(BytesIO(stored.body))["game_analytics.stats_sha256"]
            found[day] = Board(tuple(pl.read_parquet(BytesIO(stored.body)).rows()), made_from)
    return found


def recorded_sources(instance: dg.DagsterInstance) -> dict[str, str]:
    """The ETag in each day's latest materialization, read without the sensor's code."""
    records = instance.fetch_materializations(top10_leaderboard.key, limit=5_000).records
    return {str(record.partition_key): str(recorded(record, "source_etag")) for record in reversed(records)}


def wrong_with(day: str, versions: Sequence[Version], board: Board | None, source: str | None) -> Iterator[str]:
    """How a day differs from the board that its last file version should have."""
    final = versions[-1]
    if final.board is not None:
        if board is None:
            yield f"{day}: no board"
        elif (board.rows, board.made_from, source) != (final.board, final.sha256, final.etag):
            yield f"{day}: the board is not the file's, but of {board.made_from} and recorded as of {source}"
    elif board is not None:
        stood = {version.sha256: version for version in versions[:-1]}.get(board.made_from)
        if stood is None or (stood.board, stood.etag) != (board.rows, source):
            yield f"{day}: the file is bad, and the board is none that stood before"
    elif source is not None:
        yield f"{day}: a board was recorded and is not there"


def wrong_runs(runs: Sequence[dg.DagsterRun], versions: Mapping[str, Sequence[Version]]) -> Iterator[str]:
    """A day gets at most one run for each version of its file, and no request twice."""
    of_day = Counter(run.tags["dagster/partition"] for run in runs)
    for day, number in of_day.items():
        if number > len(versions.get(day, [])):
            yield f"{day}: {number} runs, the file was written {len(versions.get(day, []))} times"
    for key, number in Counter(run.tags["dagster/run_key"] for run in runs).items():
        if number > 1:
            yield f"{number} runs for {key}"
    yield from (f"{run.run_id} is {run.status}" for run in runs if not run.is_finished)


@pytest.mark.timeout(1800)
def test_hundreds_of_files_that_land_at_once_are_each_ranked_as_they_stand_in_the_end(
    s3: S3Endpoint,
    lake_resource: LakeResource,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    plan = many_files(SEED)
    place = Place(s3, lake_resource.bucket, tmp_path)
    with (
        place.open() as pipeline,
        ProcessPoolExecutor(WORKERS, mp_context=PROCESSES) as workers,
        ThreadPoolExecutor(1) as thread,
    ):
        writer = Writer(pipeline.lake, plan, thread)
        ticks = tick_on(pipeline, place, workers, writer)
        writer.raise_failures()

        runs = pipeline.instance.get_runs()
        boards = boards_in(pipeline.lake, list(plan.landed))
        sources = recorded_sources(pipeline.instance)
        standing = {found.key: found.etag for found in pipeline.lake.listing("events/")}

    bad = [day for day, versions in writer.versions.items() if versions[-1].board is None]
    failed = [run for run in runs if run.status is dg.DagsterRunStatus.FAILURE]
    wrong = [
        *ticks.wrong,
        *wrong_runs(runs, writer.versions),
        *(
            each
            for day, versions in writer.versions.items()
            for each in wrong_with(day, versions, boards.get(day), sources.get(day))
        ),
    ]
    record_property(
        "trial",
        f"sensor under load: {len(plan.landed):,} files and {len(plan.rewrites)} rewrites, {len(wrong)} wrong; "
        f"{len(runs):,} runs ({len(failed)} failed), {len(ticks.cpu_seconds)} ticks of "
        f"{median(ticks.cpu_seconds):.2f} s CPU (the slowest {max(ticks.cpu_seconds):.2f} s), by the clock "
        f"{median(ticks.wall_seconds):.2f} s (the slowest {max(ticks.wall_seconds):.2f} s)",
    )
    assert wrong == []
    assert all(standing[stats_file(day)] == versions[-1].etag for day, versions in writer.versions.items())
    assert len(runs) == len(ticks.requested) == len(ticks.outcomes)
    assert len(runs) <= len(plan.landed) + len(plan.rewrites)
    assert ticks.last_message.startswith(f"{len(bad)} boards are behind their stats files, but were already requested")
    assert max(ticks.cpu_seconds) < CPU_SECONDS_AT_MOST
