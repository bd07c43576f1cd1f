"""From a stats file's arrival to the finished board under `game-analytics dev`, compared with an empty run of the same
code location.

The time of the board begins with the tick that finds the file, which leaves out the sensor's interval, and ends with
the run's success, when the board is in S3. That of the empty run begins when it is launched from the UI. Time in the
run queue, which the daemon checks every five seconds, is subtracted. All times are those that Dagster recorded.
"""

import json
import shlex
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import dagster as dg

from benchmarks.bench import PROJECT, Bench, lake_at
from benchmarks.rows import Row, at_most_more
from benchmarks.servers import DAY, program
from benchmarks.tick import stats_file
from benchmarks.with_idle_run import idle_job
from game_analytics.defs.jobs import leaderboard_job
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import board_key, stats_key
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.processes import start_child
from game_analytics.local_stack.running import answers

T = TypeVar("T")

_WORKSPACE = """\
load_from:
  - python_module:
      module_name: benchmarks.with_idle_run
      working_directory: {project}
      location_name: game_analytics
"""
_LAUNCH = f"""
mutation {{ launchRun(executionParams: {{mode: "default", selector: {{repositoryLocationName: "game_analytics",
    repositoryName: "__repository__", jobName: "{idle_job.name}"}}}})
    {{ ... on LaunchRunSuccess {{ run {{ runId }} }} }} }}
"""
_PAIRS = 3
"""Boards and empty runs per measured run, which is their median: other work of the daemon makes them differ."""
_WITHIN_SECONDS = 120
_LOOK_EVERY_SECONDS = 0.5


def measure(bench: Bench) -> Sequence[Row]:
    """The goal: tick and run of a board take at most a second more than an empty run."""
    boards, empty = list[float](), list[float]()
    days = (date.fromisoformat(DAY) + timedelta(days=number) for number in count())
    with _dev(bench) as stack:
        stack.pair(next(days))  # warms up the caches
        for run in range(1, bench.runs + 1):
            pairs = [stack.pair(next(days)) for _ in range(_PAIRS)]
            for seconds, into in zip(zip(*pairs, strict=True), (boards, empty), strict=True):
                into.append(median(seconds))
            bench.report(f"run {run}: board {boards[-1]:.2f} s, empty run {empty[-1]:.2f} s")
    what = "from the tick that finds a stats file to the finished board"
    return [at_most_more(what, "s", boards, "an empty run", empty, 1)]


@dataclass(frozen=True)
class _Dev:
    """`game-analytics dev`, running."""

    lake: Lake
    instance: dg.DagsterInstance
    ui_port: int

    def pair(self, day: date) -> tuple[float, float]:
        """Seconds for a board, and for an empty run."""
        return self._board_of(day), self._idle_run()

    def _board_of(self, day: date) -> float:
        """Put the file and wait for the board's run. Returns the seconds from the tick to its success."""
        self.lake.put(stats_key(day), stats_file(day.toordinal()))
        wanted = dg.RunsFilter(job_name=leaderboard_job.name, tags={"dagster/partition": day.isoformat()})
        [run_id] = _eventually(lambda: [run.run_id for run in self.instance.get_runs(wanted)])
        seconds = self._seconds(run_id)
        if self.lake.etag(board_key(day)) is None:
            raise GameAnalyticsError(f"The run for {day} published no board.")
        tick: Any = next(tick for tick in self._ticks() if run_id in tick.run_ids)
        return float(seconds + self._created(run_id) - tick.timestamp)

    def _idle_run(self) -> float:
        """Launch an empty run as the UI does. Returns the seconds from its creation to its success."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ui_port}/graphql",
            json.dumps({"query": _LAUNCH}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return self._seconds(json.load(answer)["data"]["launchRun"]["run"]["runId"])

    def _ticks(self) -> Sequence[Any]:
        [sensor] = [state for state in self.instance.all_instigator_state() if state.name == new_stats_file.name]
        return self.instance.get_ticks(sensor.instigator_origin_id, sensor.selector_id, limit=50)

    def _seconds(self, run_id: str) -> float:
        """Seconds from the run's creation to its success, without the time in the queue."""

        def finished() -> dg.DagsterRun | None:
            run = self.instance.get_run_by_id(run_id)
            return run if run is not None and run.is_finished else None

        run = _eventually(finished)
        if not run.is_success:
            raise GameAnalyticsError(f"The run {run_id} of {run.job_name} ended as {run.status.value}.")
        stats: Any = self.instance.get_run_stats(run_id)
        return float(stats.enqueued_time - self._created(run_id) + stats.end_time - stats.launch_time)

    def _created(self, run_id: str) -> float:
        """The time of the run's creation, in seconds since 1970."""
        [record] = self.instance.get_run_records(dg.RunsFilter([run_id]))
        return float(record.create_timestamp.timestamp())


@contextmanager
def _dev(bench: Bench) -> Iterator[_Dev]:
    """Start `dev` in a folder of its own, and stop it at the end."""
    folder = bench.new_folder("dev")
    (folder / "workspace.yaml").write_text(_WORKSPACE.format(project=PROJECT))
    ui_port, s3_port = free_ports(2)
    environment = bench.environment("game-analytics", bench.new_folder("unused"))
    command: list[str | Path] = [program("game-analytics"), "dev", "--port", str(ui_port), "--s3-port", str(s3_port)]
    with (folder / "log").open("wb") as log:
        child = start_child(command, folder, environment, log)
        try:
            _eventually(lambda: answers(ui_port) or child.has_ended())
            joined = _variables(folder / ".local" / "env")
            s3 = S3Endpoint(joined["AWS_ENDPOINT_URL"], joined["AWS_ACCESS_KEY_ID"], joined["AWS_SECRET_ACCESS_KEY"])
            lake = lake_at(s3, joined["GAME_ANALYTICS_BUCKET"])
            with dg.DagsterInstance.from_config(joined["DAGSTER_HOME"]) as instance:
                yield _Dev(lake, instance, ui_port)
        finally:
            child.stop()


def _variables(shell_file: Path) -> dict[str, str]:
    """The variables that the file exports with a plain value."""
    words = [shlex.split(line) for line in shell_file.read_text().splitlines() if line.startswith("export ")]
    return dict(each.split("=", 1) for _, each, *_ in words)


def _eventually(ask: Callable[[], T | None]) -> T:
    """The first answer that is not empty. Raises `GameAnalyticsError` if there is none in time."""
    end = time.monotonic() + _WITHIN_SECONDS
    while not (answer := ask()):
        if time.monotonic() > end:
            raise GameAnalyticsError(f"There was no answer within {_WITHIN_SECONDS} s.")
        time.sleep(_LOOK_EVERY_SECONDS)
    return answer
