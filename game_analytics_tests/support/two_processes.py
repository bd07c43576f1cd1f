"""Two processes that do the same thing at once, starting together in each repetition."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from multiprocessing import parent_process
from typing import Any

import duckdb

from game_analytics.lake.bucket import Contested, Lake
from game_analytics.lake.names import board_key, stats_key
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.day_run_again import PROCESSES, SETTINGS, SLICE, day_log, land, range_log, work_all
from game_analytics_tests.support.harness import ALL, failure_of, given_log, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.samples import DAY, ONE_HOUR

CONTESTED = "contested"
"""The error of a run that lost against others several times."""

TOGETHER_WITHIN_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """A lake, as another process reaches it."""

    endpoint: S3Endpoint
    bucket: str

    def open(self) -> Lake:
        return lake_at(self.endpoint, self.bucket).open()


Task = Callable[..., str]


class Pair:
    """Two processes, for as long as a test takes."""

    def __init__(self, processes: ProcessPoolExecutor) -> None:
        self._processes = processes

    def do(self, one: tuple[Task, Sequence[Any]], other: tuple[Task, Sequence[Any]]) -> list[str]:
        """Run the task in both at once. Returns both results; raises what one of them raises, except `Contested`."""
        running = [self._processes.submit(_begin_together, task, arguments) for task, arguments in (one, other)]
        return [each.result(timeout=120) for each in running]


@contextmanager
def pair() -> Iterator[Pair]:
    start, middle = PROCESSES.Barrier(2), PROCESSES.Barrier(2)
    with ProcessPoolExecutor(2, PROCESSES, _remember, (start, middle)) as processes:
        yield Pair(processes)


_BARRIERS: list[threading.Barrier] = []


def _remember(*barriers: threading.Barrier) -> None:
    _BARRIERS.extend(barriers)
    threading.Thread(target=_end_with_the_tests, daemon=True).start()


def _end_with_the_tests() -> None:
    """Also if they were killed: a process of a pool would wait for its next task for ever."""
    tests = parent_process()
    if tests is not None:
        tests.join()
    os._exit(1)


def _begin_together(task: Task, arguments: Sequence[Any]) -> str:
    _BARRIERS[0].wait(TOGETHER_WITHIN_SECONDS)
    try:
        return task(*arguments)
    except Contested:
        return CONTESTED


# -- tasks ------------------------------------------------------------------------------------------------------------


def land_when_both_have_read(place: Place, messages: int, now: datetime) -> str:
    """Land the day. Neither process commits before both have read all of their slices."""
    waits = [_BARRIERS[1].wait]

    def wait(_line: str) -> None:
        if waits:
            waits.pop()(TOGETHER_WITHIN_SECONDS)

    log, options = day_log(messages, partitions=1), LandingOptions(ONE_HOUR, slice_size=SLICE)
    land_day(log, place.open(), DAY, options, clock=lambda: now, tell=wait)
    return "landed"


def do_all(place: Place, messages: int) -> str:
    work_all(place.open(), day_log(messages, partitions=1))
    return "done"


def do_range(place: Place, days: Sequence[date]) -> str:
    lake = place.open()
    for day in days:
        work_all(lake, range_log(), day)
    return "done"


def materialize_range(place: Place, days: Sequence[date]) -> str:
    """A run of all three assets for a range, as Dagster makes it. What it says if it failed."""
    span = (days[0].isoformat(), days[-1].isoformat())
    with pipeline_on(lake_at(place.endpoint, place.bucket), given_log(range_log()), SETTINGS) as pipeline:
        result = pipeline.run(ALL, days=span)
    return "done" if result.success else failure_of(result)


def replace_stats(place: Place, files: Sequence[bytes]) -> str:
    """Write one file after another, at intervals in which a board may or may not be published."""
    lake, rng = place.open(), random.Random(len(files))  # noqa: S311 - no secret hangs on it
    for file in files:
        lake.put(stats_key(DAY), file)
        time.sleep(rng.uniform(0, 0.25))
    return "done"


def make_boards(place: Place, expected: Sequence[bytes], times: int) -> str:
    """In words: the number of the file that each board was made of, or «contested», or «none»."""
    lake = place.open()
    with duckdb.connect() as connection:
        results = [
            _which(lake, board_key(DAY), expected, lambda: publish_board(lake, connection, DAY, 0))
            for _ in range(times)
        ]
    return " ".join(results)


def land_again_and_again(place: Place, states: Sequence[int]) -> str:
    """With a clock that is a day ahead, so that leftovers are removed at once."""
    lake = place.open()
    for messages in states:
        land(day_log(messages, partitions=1), lake, hours_later=25)
    return "done"


def count_again_and_again(place: Place, expected: Sequence[bytes], times: int) -> str:
    """In words: the number of the day's state that each stats file was made of, or «contested», or «none»."""
    lake = place.open()
    results = [_which(lake, stats_key(DAY), expected, lambda: publish_stats(lake, DAY)) for _ in range(times)]
    return " ".join(results)


def _which(lake: Lake, key: str, expected: Sequence[bytes], publish_it: Callable[[], object]) -> str:
    try:
        publish_it()
    except Contested:
        return CONTESTED
    found = lake.get(key)
    assert found is not None
    return str(expected.index(found.body)) if found.body in expected else "none"
