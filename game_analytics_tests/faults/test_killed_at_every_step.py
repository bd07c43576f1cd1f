"""A run of all three assets is killed before and after each of its writes: readers see the day either as it was or as
it will be, the next run gives the same result as an undisturbed one, and leftovers are removed after a day."""

import os
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import CONDITIONS_KEY
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.day_run_again import (
    NOW,
    PROCESSES,
    THEN,
    Torn,
    Whole,
    day_log,
    land,
    materialize_all,
    materialize_all_and_exit,
    put_all,
    read_whole,
    work_all,
)
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.s3_proxy import Drop, Fate, Forward, Request, proxy_before

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LEFTOVERS = {
    "raw/2025_12_30/0-0-9-0123456789ab.parquet": b"left by a run that died yesterday",
    "quarantine/2025_12_30/1-5-7-ba9876543210.parquet": b"left by a run that died yesterday",
}
WRITES = 19
"""The marker of conditions, twice in a new lake; twelve slices' objects, a copy of the manifest that is replaced, the
manifest, the removal of leftovers, the stats file and the board."""

A_WEEK_OLD = 7 * 24 + 1
LOOK_EVERY_SECONDS = 0.5
ENDS_WITHIN_SECONDS = 60


class Reader:
    """Reads all three datasets repeatedly and counts what it saw: ``then``, ``now``, or anything else."""

    def __init__(self, lake: Lake, then: Whole, now: Whole) -> None:
        self._lake, self._then, self._now = lake, then, now
        self.seen = Counter[str]()
        self.wrong = list[str]()

    def read(self) -> None:
        try:
            found = read_whole(self._lake)
        except Torn as torn:
            self.wrong.append(str(torn))
            return
        for dataset in ("raw", "stats", "board"):
            content, then, now = (getattr(whole, dataset) for whole in (found, self._then, self._now))
            if content not in (then, now):
                self.wrong.append(f"{dataset}: neither the old day nor the new one")
            self.seen[f"{dataset} {'now' if content == now else 'then'}"] += 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read once, then in a thread during the block, and once after it."""
        self.read()
        ended = threading.Event()

        def read_on() -> None:
            while not ended.wait(LOOK_EVERY_SECONDS):
                self.read()

        thread = threading.Thread(target=read_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        self.read()


class Killer:
    """A proxy hook that kills a process before a certain write reaches S3, or after S3 has done it."""

    def __init__(self, moment: str, write_number: int) -> None:
        self._moment, self._write_number = moment, write_number
        self._is_aimed = threading.Event()
        self._process_id = 0
        self.killed_at: str | None = None

    def aim_at(self, process_id: int) -> None:
        self._process_id = process_id
        self._is_aimed.set()

    def __call__(self, request: Request) -> Fate:
        if request.write_number != self._write_number:
            return Forward()

        def kill() -> None:
            assert self._is_aimed.wait(ENDS_WITHIN_SECONDS)
            os.kill(self._process_id, signal.SIGKILL)
            self.killed_at = f"{request.method} {request.key or 'leftovers'}"

        return Drop(kill) if self._moment == "before" else Forward(after=kill)


def killed_run(server: S3Endpoint, bucket: str, killer: Killer, workers: int) -> int | None:
    """Run all three assets in another process, through a proxy. Returns how it ended."""
    with proxy_before(server, killer) as proxy:
        process = PROCESSES.Process(target=materialize_all_and_exit, args=(proxy.endpoint, bucket, NOW, workers))
        process.start()
        assert process.pid is not None
        killer.aim_at(process.pid)
        process.join(ENDS_WITHIN_SECONDS)
        assert not process.is_alive()
        exit_code = process.exitcode
        process.close()
    return exit_code


def new_name() -> str:
    return f"lake-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def day_then(s3: S3Endpoint, client: "S3Client") -> Whole:
    """The day as landed when fewer messages had arrived."""
    bucket = new_name()
    client.create_bucket(Bucket=bucket)
    lake = lake_at(s3, bucket).open()
    work_all(lake, day_log(THEN))
    return read_whole(lake)


@pytest.fixture(scope="module")
def day_now(s3: S3Endpoint, client: "S3Client", day_then: Whole) -> Whole:
    """The day after an undisturbed run."""
    bucket = new_name()
    put_all(client, bucket, {**day_then.objects(), **LEFTOVERS}, hours_old=A_WEEK_OLD)
    with proxy_before(s3) as proxy:
        assert materialize_all(lake_at(proxy.endpoint, bucket), day_log(NOW))
        assert proxy.count.writes == WRITES
    lake = lake_at(s3, bucket).open()
    assert not LEFTOVERS.keys() & {found.key for found in lake.listing("")}
    return read_whole(lake)


@dataclass(frozen=True)
class Trial:
    """A killed run and the observations after it."""

    point: str
    lost: list[str]
    seen: Counter[str]


@pytest.fixture
def kill(s3: S3Endpoint, client: "S3Client", day_then: Whole, day_now: Whole) -> Callable[[str, int, int], Trial]:
    """Kill a run before or after a write, run again, and let a day pass."""

    def kill_at(moment: str, number: int, workers: int) -> Trial:
        bucket = new_name()
        put_all(client, bucket, {**day_then.objects(), **LEFTOVERS}, hours_old=A_WEEK_OLD)
        lake = lake_at(s3, bucket).open()
        reader = Reader(lake, day_then, day_now)
        killer = Killer(moment, number)
        with reader.reading():
            assert killed_run(s3, bucket, killer, workers) == -signal.SIGKILL
            assert killer.killed_at is not None
            reader.read()
            work_all(lake, day_log(NOW))
        lost = list(reader.wrong)
        if read_whole(lake) != day_now:
            lost.append("the next run gives other bytes")
        land(day_log(NOW), lake, hours_later=A_WEEK_OLD)
        if {found.key for found in lake.listing("")} - {CONDITIONS_KEY} != day_now.objects().keys():
            lost.append("what the dead run left is still there after a week")
        point = f"{moment} write {number}, {killer.killed_at}"
        return Trial(point, [f"{point}: {what}" for what in lost], reader.seen)

    return kill_at


@pytest.mark.trial
def test_the_day_then_is_another_than_the_day_now(day_then: Whole, day_now: Whole) -> None:
    """Otherwise readers could not distinguish them."""
    assert day_then.raw != day_now.raw
    assert day_then.stats != day_now.stats
    assert day_then.board != day_now.board


@pytest.mark.trial
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_is_killed_at_any_write_leaves_a_whole_day_and_the_next_one_finishes_it(
    kill: Callable[[str, int, int], Trial],
    moment: str,
    record_property: Callable[[str, object], None],
) -> None:
    trials = [kill(moment, number, 1) for number in range(WRITES)]
    lost = [what for trial in trials for what in trial.lost]
    seen = sum((trial.seen for trial in trials), Counter[str]())
    record_property(
        "trial",
        f"killed {moment} a write of a run: {len(trials)} tried, {len(lost)} lost, "
        f"{seen.total()} looks at a dataset meanwhile saw the old or the new one whole",
    )
    assert lost == []
    assert len({trial.point for trial in trials}) == WRITES
    each = [f"{dataset} {age}" for dataset in ("raw", "stats", "board") for age in ("then", "now")]
    assert min(seen[one] for one in each) >= WRITES


@pytest.mark.trial
def test_a_run_that_lands_by_two_processes_is_killed(
    kill: Callable[[str, int, int], Trial], record_property: Callable[[str, object], None]
) -> None:
    """No process continues its work, or nothing that one still writes is read."""
    trials = [kill(moment, number, 2) for moment, number in (("before", 4), ("after", 9), ("before", 12))]
    lost = [what for trial in trials for what in trial.lost]
    record_property("trial", f"killed while two processes land: {len(trials)} tried, {len(lost)} lost")
    assert lost == []
    assert len(trials) == 3
