"""S3 answers with errors, breaks off, stalls and refuses, by a fixed schedule. Each run ends with the right bytes or
with an error that names the problem, and leaves nothing half-written."""

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.day_run_again import (
    NOW,
    SETTINGS,
    THEN,
    Whole,
    day_log,
    land,
    publish,
    put_all,
    read_whole,
    work_all,
)
from game_analytics_tests.support.harness import ALL, failure_of, given_log, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.s3_proxy import (
    Fate,
    Forward,
    LoseAnswer,
    Refuse,
    Request,
    ResetAnswer,
    ResetRequest,
    Stall,
    StallAnswer,
    TruncateAnswer,
    proxy_before,
)
from game_analytics_tests.support.samples import DAY

pytestmark = pytest.mark.trial

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SEED = 20251230
AT_ONCE = 8
A_DAY_OLD = 25

OUT_OF_ORDER: Sequence[Fate] = [Refuse(500, "InternalError"), Refuse(503, "SlowDown"), LoseAnswer(500, "InternalError")]
BROKEN: Sequence[Fate] = [ResetRequest(), ResetAnswer(), TruncateAnswer()]
SLOW: Sequence[Fate] = [Stall(0.3), StallAnswer(0.3)]
DENIED: Sequence[Fate] = [Refuse(403, "AccessDenied")]
SILENT: Sequence[Fate] = [Stall(600)]
"""Longer than any client waits: their time-out is 12 seconds."""
SILENT_IN_THE_MIDDLE: Sequence[Fate] = [StallAnswer(600)]

FOREIGN = ("Traceback", "botocore", "polars", "duckdb", "object-store", "Caused by", "Exception")
"""Parts of messages that were not made readable."""

WRONG_IF_DOWN = ("policy", "Renew", "and the day", "Write the file again", "Remove", "replaced by others")
"""Advice that is wrong if S3 is at fault."""
WRONG_IF_DENIED = ("Try again later", "Start it", *WRONG_IF_DOWN[1:])


class Faults:
    """A proxy hook that counts what it did to requests."""

    def __init__(self, schedule: Callable[[int], Fate | None]) -> None:
        self._schedule = schedule
        self._lock = threading.Lock()
        self.struck = Counter[str]()
        self.is_over = False

    def __call__(self, request: Request) -> Fate:
        with self._lock:
            fate = None if self.is_over else self._schedule(request.number)
            if fate is None:
                return Forward()
            self.struck[type(fate).__name__] += 1
            return fate


def scattered(seed: float, fates: Sequence[Fate], share: float) -> Callable[[int], Fate | None]:
    """Any request may fail."""
    rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
    return lambda _number: rng.choice(fates) if rng.random() < share else None


def from_on(first: int, fates: Sequence[Fate], at_most: int = 1_000) -> Callable[[int], Fate | None]:
    """This many requests in a row fail."""
    rng = random.Random(first)  # noqa: S311 - no secret hangs on it
    return lambda number: rng.choice(fates) if first <= number < first + at_most else None


class RunFailed(Exception):
    """A run of the assets failed, with this message."""


@dataclass(frozen=True)
class Work:
    """A task of the pipeline on S3: the lake before, the lake after, and the function."""

    name: str
    before: Whole
    after: Whole
    do: Callable[[LakeResource], object]


@dataclass
class Outcome:
    """The outcomes of the runs."""

    runs: int = 0
    failed: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.runs += other.runs
        self.failed += other.failed
        self.struck += other.struck
        self.lost += other.lost


@dataclass(frozen=True)
class Trial:
    """One run of a task with its faults."""

    work: Work
    faults: Faults
    is_denied: bool = False

    def run(self, s3: S3Endpoint, client: "S3Client") -> Outcome:
        bucket = f"lake-{uuid.uuid4()}"
        put_all(client, bucket, self.work.before.objects(), hours_old=A_DAY_OLD)
        direct = lake_at(s3, bucket).open()
        lost: list[str] = []
        is_done = False
        with proxy_before(s3, self.faults) as proxy:
            resource = lake_at(proxy.endpoint, bucket)
            try:
                self.work.do(resource)
                is_done = True
            except Exception as error:
                lost += unclear(error, bucket, is_denied=self.is_denied)
                if self.faults.struck.keys() == {"Refuse"} and "Start it" in str(error):
                    lost.append(f"S3 runs, it has answered: {error}")
            left = read_whole(direct)
            if is_done and left != self.work.after:
                lost.append("it gave other bytes")
            if left not in (self.work.before, self.work.after):
                lost.append("it left neither the old day nor the new one")
            self.faults.is_over = True
            self.work.do(resource)
            if read_whole(direct) != self.work.after:
                lost.append("the next run gave other bytes")
        problems = [f"{self.work.name}, {dict(self.faults.struck)}: {what}" for what in lost]
        return Outcome(1, int(not is_done), self.faults.struck, problems)


def unclear(error: Exception, bucket: str, *, is_denied: bool) -> list[str]:
    """What is wrong with an error message for users."""
    expected = RunFailed if isinstance(error, RunFailed) else GameAnalyticsError if is_denied else Unavailable
    if type(error) is not expected:
        return [f"{type(error).__name__} instead of {expected.__name__}: {error}"]
    message = str(error)
    wrong = [f"it says {word!r}" for word in FOREIGN if word in message]
    wrong += [f"wrong advice {word!r}" for word in (WRONG_IF_DENIED if is_denied else WRONG_IF_DOWN) if word in message]
    next_steps = ("policy",) if is_denied else ("Try again later", "check AWS_ENDPOINT_URL")
    if not any(step in message for step in next_steps):
        wrong.append("no next step")
    if f"s3://{bucket}" not in message:
        wrong.append("no bucket and no key")
    if "\n" in message:
        wrong.append("more than a line")
    return [f"{', '.join(wrong)}: {message}"] if wrong else []


def materialize(resource: LakeResource, log: ListedLog) -> None:
    with pipeline_on(resource, given_log(log), SETTINGS) as pipeline:
        result = pipeline.run(ALL, DAY.isoformat())
    if not result.success:
        raise RunFailed(failure_of(result))


@pytest.fixture(scope="module")
def works(s3: S3Endpoint, client: "S3Client") -> Mapping[str, Work]:
    """A small day: one partition, three slices, six objects."""
    bucket = f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    lake = lake_at(s3, bucket).open()
    work_all(lake, day_log(THEN, partitions=1))
    then = read_whole(lake)
    log = day_log(NOW, partitions=1)
    work_all(lake, log)
    now = read_whole(lake)
    landed = Whole(now.raw, then.stats, then.board)
    counted = Whole(now.raw, now.stats, then.board)
    assert len({id(whole) for whole in (then, landed, counted, now)}) == 4
    each = [
        Work("opening", then, then, LakeResource.open),
        Work("landing", then, landed, lambda resource: land(log, resource.open())),
        Work("landing by two processes", then, landed, lambda resource: land(log, resource.open(), workers=2)),
        Work("stats", landed, counted, lambda resource: publish_stats(resource.open(), DAY)),
        Work("board", counted, now, lambda resource: publish(resource.open())),
        # After a run that fails in the middle, datasets differ in age, so each task renews only one.
        Work("run of all assets", counted, now, lambda resource: materialize(resource, log)),
    ]
    return {work.name: work for work in each}


def trials_of(works: Mapping[str, Work]) -> list[Trial]:
    """The same each time."""
    rng = random.Random(SEED)  # noqa: S311 - no secret hangs on it
    silent = [
        Trial(works["landing"], Faults(from_on(4, SILENT))),
        Trial(works["landing"], Faults(from_on(7, SILENT_IN_THE_MIDDLE, at_most=1))),
        Trial(works["stats"], Faults(from_on(4, SILENT, at_most=1))),
        Trial(works["stats"], Faults(from_on(4, SILENT_IN_THE_MIDDLE, at_most=1))),
        Trial(works["board"], Faults(from_on(2, SILENT, at_most=1))),
        Trial(works["board"], Faults(from_on(2, SILENT_IN_THE_MIDDLE, at_most=1))),
    ]
    by_processes = [
        Trial(works["landing by two processes"], Faults(from_on(6, [fate]))) for fate in (OUT_OF_ORDER[1], BROKEN[0])
    ]
    refused_processes = Trial(works["landing by two processes"], Faults(from_on(6, DENIED)), is_denied=True)
    at_the_door = [Trial(works["opening"], Faults(from_on(0, [fate]))) for fate in (*OUT_OF_ORDER, *BROKEN) * 4]
    for_good, now_and_then, denied = [], [], [Trial(works["opening"], Faults(from_on(0, DENIED)), is_denied=True)]
    for name, requests in (("landing", 11), ("stats", 8), ("board", 4)):
        work = works[name]
        for_good += [
            Trial(work, Faults(from_on(rng.randrange(1, requests), [fate]))) for fate in (*OUT_OF_ORDER, *BROKEN)
        ]
        now_and_then += [
            Trial(work, Faults(scattered(rng.random(), [*OUT_OF_ORDER, *BROKEN, *SLOW], 0.35))) for _ in range(14)
        ]
        denied += [Trial(work, Faults(from_on(first, DENIED)), is_denied=True) for first in (1, requests - 2)]
    return [*silent, *by_processes, refused_processes, *for_good, *now_and_then, *denied, *at_the_door]


def test_a_run_ends_with_the_right_bytes_or_an_error_that_names_s3(
    s3: S3Endpoint, client: "S3Client", works: Mapping[str, Work], record_property: Callable[[str, object], None]
) -> None:
    outcome = Outcome()
    all_assets = works["run of all assets"]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        # Concurrently, since they mostly wait; but Dagster's runs need the main thread.
        running = [threads.submit(trial.run, s3, client) for trial in trials_of(works)]
        outcome.add(Trial(all_assets, Faults(from_on(6, OUT_OF_ORDER, at_most=2))).run(s3, client))
        outcome.add(Trial(all_assets, Faults(from_on(0, BROKEN))).run(s3, client))
        outcome.add(Trial(all_assets, Faults(from_on(25, DENIED)), is_denied=True).run(s3, client))
        for each in running:
            outcome.add(each.result())
    struck = ", ".join(f"{number} {kind}" for kind, number in sorted(outcome.struck.items()))
    record_property(
        "trial",
        f"S3 misbehaves: {outcome.struck.total()} faulty answers in {outcome.runs} runs tried, {len(outcome.lost)} "
        f"lost, {outcome.failed} runs failed and said so ({struck})",
    )
    assert outcome.lost == []
    assert outcome.struck.total() >= 200
    assert outcome.runs >= 55
    assert min(outcome.struck[fate.__name__] for fate in (Refuse, LoseAnswer, ResetRequest, ResetAnswer)) >= 8
    assert min(outcome.struck[fate.__name__] for fate in (TruncateAnswer, Stall, StallAnswer)) >= 5
    assert outcome.failed >= 20
    assert outcome.runs - outcome.failed >= 10


def test_an_error_response_that_breaks_off_is_a_connection_error(s3: S3Endpoint, lake: Lake) -> None:
    """The object does not exist, but the error response breaks off before botocore has read it."""
    with proxy_before(s3) as proxy:
        through = lake_at(proxy.endpoint, lake.bucket, max_attempts=1).open()
        proxy.hook = lambda _request: ResetAnswer()
        with pytest.raises(Unavailable) as error:
            through.get("absent")
    assert unclear(error.value, lake.bucket, is_denied=False) == []
