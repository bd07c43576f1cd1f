"""Two processes at once on the same day: the result is that of one of them, complete, and a run that loses says so."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import board_key, stats_key
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.leaderboards.player_stats import publish_stats
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.day_run_again import (
    NOW,
    RANGE,
    SLICE,
    THEN,
    day_log,
    land,
    publish,
    range_log,
    read_raw,
    read_whole,
    work_all,
)
from game_analytics_tests.support.harness import foreign_stats, parquet
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.s3_proxy import Fate, Forward, Proxy, Request, proxy_before
from game_analytics_tests.support.samples import DAY, MORNING_AFTER, ONE_HOUR, body_of, utc
from game_analytics_tests.support.two_processes import (
    CONTESTED,
    Pair,
    Place,
    count_again_and_again,
    do_all,
    do_range,
    land_again_and_again,
    land_when_both_have_read,
    make_boards,
    materialize_range,
    pair,
    replace_stats,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.trial

Record = Callable[[str, object], None]
NewLake = Callable[[], tuple[Place, Lake]]

AT_SIX = utc("2025-12-30 18:00")


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    with pair() as processes:
        yield processes


@pytest.fixture(scope="module")
def proxy(s3: S3Endpoint) -> Iterator[Proxy]:
    """The proxy between the two processes and the server. It serializes writes and counts answers."""
    with proxy_before(s3) as running:
        yield running


@pytest.fixture
def new_lake(s3: S3Endpoint, client: "S3Client", proxy: Proxy) -> NewLake:
    """An empty lake for each repetition: through the proxy, and directly."""

    def make() -> tuple[Place, Lake]:
        bucket = f"lake-{uuid.uuid4()}"
        client.create_bucket(Bucket=bucket)
        return Place(proxy.endpoint, bucket), lake_at(s3, bucket).open()

    return make


def report(record: Record, name: str, tried: int, lost: list[str], results: str) -> None:
    record("trial", f"two at once, {name}: {tried} tried, {len(lost)} lost, {results}")
    assert lost == []


def landed_alone(new_lake: NewLake, already: int, *clocks: datetime) -> Mapping[str, bytes]:
    """The result of two landings in sequence."""
    _, lake = new_lake()
    land_before(lake, already)
    for now in clocks:
        land_at(now, lake)
    return read_raw(lake)


def land_before(lake: Lake, already: int) -> None:
    if already:
        land(day_log(already, partitions=1), lake)


def land_at(now: datetime, lake: Lake) -> None:
    options = LandingOptions(ONE_HOUR, slice_size=SLICE)
    land_day(day_log(NOW, partitions=1), lake, DAY, options, clock=lambda: now)


def test_two_landings(both: Pair, new_lake: NewLake, proxy: Proxy, record_property: Record) -> None:
    """With the same window, or one that was closed for one of them only; with and without an earlier landing."""
    lost, outcomes = list[str](), Counter[str]()
    refused_before = proxy.count.answers[412]
    for already in (0, THEN):
        for clocks in ((MORNING_AFTER, MORNING_AFTER), (AT_SIX, MORNING_AFTER)):
            orders = [clocks, clocks[::-1]]
            possible = [landed_alone(new_lake, already, *order[:count]) for order in orders for count in (1, 2)]
            for _ in range(3):
                place, lake = new_lake()
                land_before(lake, already)
                results = both.do(*((land_when_both_have_read, (place, NOW, now)) for now in clocks))
                outcomes.update(results)
                if read_raw(lake) not in possible:
                    lost.append(f"{clocks}, {already} messages before: a day that nobody landed")
                if results == [CONTESTED, CONTESTED]:
                    lost.append(f"{clocks}, {already} messages before: both say that they lost")
    refused = proxy.count.answers[412] - refused_before
    report(record_property, "landings", 12, lost, f"{refused} refused a commit, {outcomes[CONTESTED]} runs gave up")
    assert outcomes.total() == 24
    assert refused >= 12  # one of each two comes second


def test_two_runs_of_all_three(both: Pair, new_lake: NewLake, record_property: Record) -> None:
    _, alone = new_lake()
    work_all(alone, day_log(THEN, partitions=1))
    then = read_whole(alone)
    work_all(alone, day_log(NOW, partitions=1))
    now = read_whole(alone)
    lost, outcomes = list[str](), Counter[str]()
    for number in range(6):
        place, lake = new_lake()
        for key, body in then.objects().items():
            lake.put(key, body)
        outcomes.update(both.do((do_all, (place, NOW)), (do_all, (place, NOW))))
        if read_whole(lake) != now:
            lost.append(f"{number}: other bytes than those of one run")
    report(record_property, "runs of all three", 6, lost, f"{outcomes[CONTESTED]} runs gave up")
    assert outcomes.total() == 12


@pytest.mark.parametrize(("way", "times"), [(do_range, 4), (materialize_range, 2)])
def test_two_ranges_that_overlap(
    both: Pair, new_lake: NewLake, record_property: Record, way: Callable[..., str], times: int
) -> None:
    _, alone = new_lake()
    for day in RANGE:
        work_all(alone, range_log(), day)
    expected = [read_whole(alone, day) for day in RANGE]
    lost, outcomes = list[str](), Counter[str]()
    for number in range(times):
        place, lake = new_lake()
        outcomes.update(both.do((way, (place, RANGE[:2])), (way, (place, RANGE[1:]))))
        lost += [
            f"{number}: {day} is another"
            for day, whole in zip(RANGE, expected, strict=True)
            if read_whole(lake, day) != whole
        ]
    lost += [f"result {outcome!r}" for outcome in outcomes if outcome != "done"]
    report(record_property, f"ranges that overlap ({way.__name__})", times, lost, f"{outcomes['done']} runs done")


def test_stats_that_are_replaced_while_boards_are_made_of_them(
    both: Pair, new_lake: NewLake, record_property: Record
) -> None:
    place, lake = new_lake()
    files = [parquet(foreign_stats(**{f"player{n}": (n, 40 - n) for n in range(1, last)})) for last in range(2, 42)]
    boards = []
    for file in files:
        put_stats(lake, file)
        publish(lake)
        boards.append(body_of(lake, board_key(DAY)))
    answers = both.do((replace_stats, (place, files)), (make_boards, (place, boards, 24)))
    publish(lake)
    results = answers[1].split()
    lost = ["a board of no file"] * results.count("none")
    if body_of(lake, board_key(DAY)) != boards[-1]:
        lost.append("the board at the end is not that of the file")
    report(record_property, "boards while the stats are replaced", len(results), lost, f"of files {' '.join(results)}")
    assert len(results) == 24
    assert len(set(results)) >= 3


def test_a_file_that_is_replaced_and_put_back_while_it_is_read_is_one_of_both(s3: S3Endpoint, lake: Lake) -> None:
    """However many requests read it: before each but the first, the file is replaced by the other version."""
    ann, cid = parquet(foreign_stats(ann=(5, 1), bob=(3, 2))), parquet(foreign_stats(cid=(9, 1), dan=(3, 2)))
    boards = []
    for file in (ann, cid):
        put_stats(lake, file)
        publish(lake)
        boards.append(body_of(lake, board_key(DAY)))
    others = cycle([ann, cid])

    def replace_file(request: Request) -> Fate:
        return Forward(before=lambda: put_stats(lake, next(others))) if request.key == stats_key(DAY) else Forward()

    with proxy_before(s3) as flaky:
        through = lake_at(flaky.endpoint, lake.bucket).open()
        flaky.hook = replace_file
        for _ in range(4):
            publish(through)
            assert body_of(lake, board_key(DAY)) in boards


def put_stats(lake: Lake, file: bytes) -> None:
    lake.put(stats_key(DAY), file)


def test_a_day_that_is_landed_again_while_it_is_counted(both: Pair, new_lake: NewLake, record_property: Record) -> None:
    states = [200, 500, 800, 1_100, 1_300, 1_600, 1_900, 2_100, 2_300, 2_500]
    expected = []
    _, alone = new_lake()
    for messages in states:
        land(day_log(messages, partitions=1), alone, hours_later=25)
        publish_stats(alone, DAY)
        expected.append(body_of(alone, stats_key(DAY)))
    place, lake = new_lake()
    land(day_log(states[0], partitions=1), lake)
    answers = both.do((land_again_and_again, (place, states)), (count_again_and_again, (place, expected, 24)))
    publish_stats(lake, DAY)
    results = answers[1].split()
    lost = ["stats of no landing"] * results.count("none")
    if body_of(lake, stats_key(DAY)) != expected[-1]:
        lost.append("the stats at the end are not those of the day")
    seen = [int(which) for which in results if which.isdecimal()]
    if seen != sorted(seen):
        lost.append("older stats came after newer ones")
    report(record_property, "stats while the day is landed again", len(results), lost, f"of states {' '.join(results)}")
    assert len(results) == 24
    assert len(set(seen)) >= 3
