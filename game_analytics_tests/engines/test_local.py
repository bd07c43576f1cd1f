"""Landing slices in a thread and in processes: the same result as with one worker, and no process is left behind after
any fault."""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from game_analytics.engines.engine import WorkerDied
from game_analytics.engines.local import LocalEngine
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake, LakeSettings
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions, LandingReport
from game_analytics.landing.slices import Slice
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.faulty_logs import (
    CannotArrive,
    DividesByZero,
    Exits,
    Fails,
    Fault,
    Mute,
    Raises,
    Signalled,
    Waits,
    Watched,
)
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.processes import eventually, is_alive
from game_analytics_tests.support.samples import (
    DAY,
    MORNING_AFTER,
    ONE_HOUR,
    at,
    ensure_whole,
    kill,
    land_slices,
    standing,
    stored,
)

A_MINUTE_AT_MOST = 60.0


def messages(count: int) -> list[Message]:
    """Messages of which one in four can't be read and one in five is of the day before."""
    values = [
        b"not json"
        if number % 4 == 3
        else kill(f"player-{number}", **({"ts": "2025-12-29T12:00:00Z"} if number % 5 == 4 else {}))
        for number in range(count)
    ]
    return [at(number, f"2025-12-30 12:00:{number:02}", value) for number, value in enumerate(values)]


def two_partitions(count: int = 6) -> dict[int, list[Message]]:
    return {0: messages(count), 1: messages(count)}


def land_by(
    workers: int, log: EventLog, lake: Lake, slice_size: int = 6, tell: Callable[[str], None] = lambda _line: None
) -> LandingReport:
    options = LandingOptions(ONE_HOUR, engine=LocalEngine(workers), slice_size=slice_size)
    return land_day(log, lake, DAY, options, clock=lambda: MORNING_AFTER, tell=tell)


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


def children() -> set[int]:
    """Child processes of this one, including zombies."""
    return {process.pid for process in psutil.Process().children()}


@contextmanager
def no_leftovers() -> Iterator[None]:
    """Asserts that the block leaves no further process or thread. Threads of the S3 server may end meanwhile."""
    processes, threads = children(), threading.enumerate()
    yield
    assert children() == processes
    assert set(threading.enumerate()) <= set(threads)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which logs record the processes that read them."""
    folder = tmp_path / "processes"
    folder.mkdir()
    return folder


@pytest.mark.trial
def test_several_workers_land_the_same_bytes_as_one(lake: Lake, folder: Path) -> None:
    partitions = {0: messages(20), 3: messages(7), 1: [], 2: messages(13)}
    land_by(1, ListedLog(partitions), lake)
    by_one = stored(lake)
    lake.delete(by_one)

    log = Watched(partitions, folder=folder)
    with no_leftovers():
        landing = land_by(3, log, lake)
    assert stored(lake) == by_one
    assert len(log.processes()) == 3
    assert os.getpid() in log.processes()
    assert landing.reasons == {"not_json": 5 + 1 + 3}
    assert standing(lake).total()["read"] == 40
    ensure_whole(lake)


@pytest.mark.trial
@pytest.mark.parametrize(("workers", "slices"), [(2, 5), (5, 11)])
def test_each_slice_is_landed_exactly_once(lake: Lake, folder: Path, workers: int, slices: int) -> None:
    log = Watched({0: messages(slices)}, folder=folder)
    cut = [Slice(DAY, 0, number, number + 1) for number in range(slices)]
    read: list[int] = []
    reports = list(land_slices(log, lake, cut, workers, read.append))
    assert sorted(report.slice.first for report in reports) == list(range(slices))
    assert log.slices() == [(0, number, number + 1) for number in range(slices)]
    assert sum(read) == sum(report.read for report in reports) == slices


def test_more_processes_than_slices_do_no_harm(lake: Lake, folder: Path) -> None:
    log = Watched({0: messages(1)}, folder=folder)
    [report] = land_slices(log, lake, [Slice(DAY, 0, 0, 1)], 3, lambda _messages: None)
    assert report.read == 1


def test_a_day_of_less_than_a_slice_starts_no_process(lake: Lake, folder: Path) -> None:
    log = Watched({partition: messages(3) for partition in range(4)}, folder=folder)
    land_by(4, log, lake, slice_size=12)
    assert log.processes() == {os.getpid()}
    assert len(log.slices()) == 4


def test_no_more_processes_start_than_there_are_slices_worth_of_messages(lake: Lake, folder: Path) -> None:
    # Six slices, since each partition is sliced separately, but messages for only two.
    log = Watched({partition: messages(2) for partition in range(6)}, folder=folder)
    land_by(6, log, lake, slice_size=8)
    assert len(log.slices()) == 6
    assert len(log.processes()) == 2


def test_what_the_processes_read_is_reported_as_one_sum(lake: Lake) -> None:
    lines: list[str] = []
    land_by(2, ListedLog(two_partitions()), lake, tell=lines.append)
    assert lines[-1].startswith("12 messages read in ")


def test_a_log_that_says_nothing_for_seconds_does_not_stop_the_progress(
    lake: Lake, folder: Path, tmp_path: Path
) -> None:
    """The log blocks until this process has reported progress."""
    go = tmp_path / "go"
    log = Mute(two_partitions(), folder=folder, go=go)
    reported: list[int] = []

    def tell(read: int) -> None:
        reported.append(read)
        if len(log.processes()) == 2:
            go.touch()

    slices = [Slice(DAY, partition, 0, 6) for partition in (0, 1)]
    assert len(list(land_slices(log, lake, slices, 2, tell))) == 2
    assert reported[0] == 0
    assert sum(reported) == 12


@pytest.mark.parametrize(
    ("fault", "ended_by"),
    [
        (
            Signalled(signal.SIGKILL),
            "signal SIGKILL, which often means too little memory (set GAME_ANALYTICS_WORKERS lower then)",
        ),
        (Exits(3), "exit code 3, see its standard error"),
        (Exits(0), "exit code 0, see its standard error"),  # also a failure: its slice is not done
    ],
)
def test_a_process_that_dies_fails_the_day_naming_its_slice(
    lake: Lake, folder: Path, tmp_path: Path, fault: Fault, ended_by: str
) -> None:
    log = Fails(two_partitions(), folder=folder, go=tmp_path / "never", fault=fault)
    started = time.monotonic()
    with no_leftovers(), pytest.raises(WorkerDied) as died:
        land_by(2, log, lake)
    assert time.monotonic() - started < A_MINUTE_AT_MOST / 2  # the other process would wait for a minute
    assert str(died.value) == (
        f"The process that worked on 2025-12-30, partition 1, offsets 0 to 5 ended by {ended_by}. Nothing was "
        "committed. Run again."
    )
    assert len(log.processes()) == 2
    assert not any(map(lives, log.processes() - {os.getpid()}))
    assert stored(lake) == {}


def test_a_process_that_dies_later_leaves_the_committed_landing(lake: Lake, folder: Path, tmp_path: Path) -> None:
    land_by(1, ListedLog({0: messages(2), 1: messages(2)}), lake)
    before = standing(lake)
    died = Fails(two_partitions(), folder=folder, go=tmp_path / "never", fault=Signalled(signal.SIGKILL))
    with pytest.raises(WorkerDied):
        land_by(2, died, lake)
    assert standing(lake) == before
    ensure_whole(lake)


def test_a_process_that_dies_with_slices_to_come_fails_the_day(lake: Lake, folder: Path, tmp_path: Path) -> None:
    partitions = {number: messages(6) for number in range(3)}  # the second process gets the last two
    log = Fails(partitions, folder=folder, go=tmp_path / "never", fault=Signalled(signal.SIGSEGV))
    with (
        no_leftovers(),
        pytest.raises(WorkerDied, match="partition 1, offsets 0 to 5 ended by signal SIGSEGV"),
    ):
        land_by(2, log, lake)
    assert len(log.slices()) == 2


def test_a_log_that_can_t_be_unpickled_fails_the_day_saying_why(lake: Lake) -> None:
    with no_leftovers(), pytest.raises(RuntimeError, match=r"the task was sent to a worker: .*CannotArrive"):
        land_by(2, CannotArrive(two_partitions()), lake)
    assert stored(lake) == {}


def failure_in_a_process(lake: Lake, folder: Path, fault: Fault) -> BaseException:
    log = Fails(two_partitions(), folder=folder, go=folder.parent / "never", fault=fault)
    with no_leftovers(), pytest.raises(Exception, match=r".") as failure:
        land_by(2, log, lake)
    assert stored(lake) == {}
    assert not any(map(lives, log.processes() - {os.getpid()}))
    return failure.value


def test_an_error_for_the_user_comes_from_a_process_as_it_was_raised(lake: Lake, folder: Path) -> None:
    error = failure_in_a_process(lake, folder, Raises(GameAnalyticsError("Kafka refuses. Do this.")))
    assert type(error) is GameAnalyticsError
    assert str(error) == "Kafka refuses. Do this."


def test_an_error_keeps_its_waited_flag_across_processes(lake: Lake, folder: Path) -> None:
    error = failure_in_a_process(lake, folder, Raises(Unavailable("No answer.", waited=True)))
    assert isinstance(error, Unavailable)
    assert (str(error), error.waited) == ("No answer.", True)


def test_a_bug_in_a_process_is_reported_with_its_slice_and_traceback(lake: Lake, folder: Path) -> None:
    text = str(failure_in_a_process(lake, folder, DividesByZero()))
    assert text.startswith("2025-12-30, partition 1, offsets 0 to 5: ZeroDivisionError(")
    assert "_ = 1 // 0" in text


def test_a_connection_of_the_log_that_breaks_is_not_taken_for_the_pipe_to_the_owner(lake: Lake, folder: Path) -> None:
    text = str(failure_in_a_process(lake, folder, Raises(ConnectionResetError("S3 has gone"))))
    assert text.startswith("2025-12-30, partition 1, offsets 0 to 5: ConnectionResetError('S3 has gone')")


LANDS_IN_TWO_PROCESSES = """
import pickle, signal, sys
from game_analytics.engines.local import LocalEngine
from game_analytics.landing.slices import AS_JSON, Shared, slice_landing
from game_analytics.sources.formats.json import JSON
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background commands without
log, lake, slices = pickle.load(sys.stdin.buffer)
shared = Shared(log, lake, slices[0].day, AS_JSON)
list(LocalEngine(2).run(slice_landing, shared, slices, lambda messages: None, workers_worth=2))
"""


def ended_by(kill_it: Callable[[int], None], log: Waits, lake: Lake) -> tuple[int, str]:
    """Start a program that lands in two processes, and end it in the middle. Returns its exit code and output, once its
    processes have ended."""
    slices = [Slice(DAY, partition, 0, 6) for partition in (0, 1)]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", LANDS_IN_TWO_PROCESSES],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as program:
        assert program.stdin is not None
        assert program.stderr is not None
        program.stdin.write(pickle.dumps((log, lake, slices)))
        program.stdin.close()
        eventually(lambda: len(log.processes()) == 2, "both processes read")
        assert all(map(lives, log.processes()))
        kill_it(program.pid)
        code = program.wait(30)
        eventually(lambda: not any(map(lives, log.processes())), "the processes have gone")
        return code, program.stderr.read().decode()


def test_the_processes_end_when_the_one_that_started_them_is_killed(lake: Lake, folder: Path, tmp_path: Path) -> None:
    log = Waits(two_partitions(), folder=folder, go=tmp_path / "never")
    code, _ = ended_by(lambda program: os.kill(program, signal.SIGKILL), log, lake)
    assert code == -signal.SIGKILL
    assert stored(lake) == {}


@pytest.mark.trial
def test_ctrl_c_in_a_terminal_ends_all_and_is_reported_once(lake: Lake, folder: Path, tmp_path: Path) -> None:
    """A terminal sends SIGINT to each process of the group."""
    log = Waits(two_partitions(), folder=folder, go=tmp_path / "never")
    code, output = ended_by(lambda program: os.killpg(program, signal.SIGINT), log, lake)
    assert code == -signal.SIGINT
    assert len(re.findall("^KeyboardInterrupt$", output, re.MULTILINE)) == 1


def test_an_abandoned_landing_ends_its_processes(lake: Lake, folder: Path) -> None:
    """As when the account of the first slice does not balance."""
    log = Watched({0: messages(8)}, folder=folder)
    slices = [Slice(DAY, 0, number, number + 1) for number in range(8)]
    reports = iter(land_slices(log, lake, slices, 2, lambda _messages: None))
    with no_leftovers():
        assert next(reports).read == 1
        assert len(children()) >= 1
        del reports
    assert not any(map(lives, log.processes() - {os.getpid()}))


SECRET = "only-the-pipe-may-know-this"


def test_secrets_are_neither_on_the_command_lines_nor_in_the_environments_of_processes(
    s3: S3Endpoint, lake: Lake, folder: Path, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    log = Waits(two_partitions(), folder=folder, go=go)
    opened = Lake(
        LakeSettings(
            bucket=lake.bucket,
            endpoint_url=s3.url,
            region_name=s3.region,
            access_key_id=s3.access_key_id,
            secret_access_key=SECRET,
        )
    )
    seen: list[bytes] = []

    def look(_messages: int) -> None:
        processes = log.processes()
        if len(processes) == 2 and not go.exists():
            seen.extend(
                Path(f"/proc/{number}/{file}").read_bytes() for number in processes for file in ("cmdline", "environ")
            )
            go.touch()

    slices = [Slice(DAY, partition, 0, 6) for partition in (0, 1)]
    reports = list(land_slices(log, opened, slices, 2, look))
    assert sum(len(report.objects) for report in reports) == 4
    assert len(seen) == 4
    assert sum(b"game_analytics.engines.worker" in text for text in seen) == 1
    assert not any(SECRET.encode() in text for text in seen)
