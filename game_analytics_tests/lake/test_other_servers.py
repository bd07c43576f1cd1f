"""A day, its repetition, a foreign file and `check-lake` on S3 servers of others: gofakes3, which keeps what the lake
relies on, and S3Mock, which keeps it for one writer only."""

from collections.abc import Iterator

import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.conformance import PROMISES
from game_analytics.lake.names import board_key, stats_key
from game_analytics.local_stack.endpoint import make_bucket
from game_analytics_tests.support.commands import run_on
from game_analytics_tests.support.harness import ALL, Pipeline, foreign_stats, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.s3_servers import GoFakeS3, OtherServer, S3Mock
from game_analytics_tests.support.samples import DAY

pytestmark = [pytest.mark.real, pytest.mark.timeout(func_only=True)]
SERVERS = {"gofakes3": GoFakeS3, "S3Mock": S3Mock}
A_DAY = str(DAY)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherServer]:
    folder = tmp_path_factory.mktemp(request.param)
    with required(lambda: SERVERS[request.param](folder)) as running:
        yield running


@pytest.fixture
def lake_there(server: OtherServer, request: pytest.FixtureRequest) -> LakeResource:
    bucket = request.node.originalname.replace("_", "-")[:40].rstrip("-")
    make_bucket(server.endpoint, bucket)
    return lake_at(server.endpoint, bucket)


def board_in_memory(lake_resource: LakeResource) -> list[tuple[object, ...]] | None:
    """The board of the same day on the lake of the other tests."""
    with pipeline_on(lake_resource) as pipeline:
        assert pipeline.run(ALL, A_DAY).success
        return pipeline.board(A_DAY)


def published(pipeline: Pipeline) -> dict[str, str]:
    """The published files' ETags."""
    return {key: etag for key, etag in pipeline.content().items() if not key.startswith("raw/")}


def test_a_day_is_made_there_and_made_again(lake_there: LakeResource, lake_resource: LakeResource) -> None:
    with pipeline_on(lake_there) as pipeline:
        assert pipeline.run(ALL, A_DAY).success
        first = published(pipeline)
        assert {stats_key(DAY), board_key(DAY)} <= set(first)
        assert pipeline.board(A_DAY) == board_in_memory(lake_resource)
        assert pipeline.run(ALL, A_DAY).success
        assert published(pipeline) == first


def test_a_large_file_of_another_program_is_ranked_by_the_sensor(lake_there: LakeResource) -> None:
    players = {f"{number * 7919 % 1_000_003:06}": (number % 97, 1 + number % 7) for number in range(60_000)}
    with pipeline_on(lake_there) as pipeline:
        pipeline.put(stats_key(DAY), foreign_stats(**players, zoe=(9_000, 1)))
        assert (pipeline.lake.size(stats_key(DAY)) or 0) > 64 * 1024  # more than is asked for first
        assert pipeline.run_requested() == {A_DAY: True}
        assert pipeline.requested_days() == []
        [(rank, player, kills, deaths, ratio), *_] = pipeline.board(A_DAY) or []
        assert (rank, player, kills, deaths, ratio) == (1, "zoe", 9_000, 1, 9_000.0)


def test_what_is_published_is_not_replaced_by_a_run_that_knew_an_older_version(lake_there: LakeResource) -> None:
    lake = lake_there.open()
    tries = []

    def build() -> tuple[bytes, None]:
        tries.append(lake.get("events/board"))
        if len(tries) == 1:
            lake.put("events/board", b"of somebody else")
        return b"ours, made from %r" % (tries[-1] and tries[-1].body), None

    lake.replace("events/board", build)
    stands = lake.get("events/board")
    assert stands is not None
    assert stands.body == b"ours, made from b'of somebody else'"


def test_check_lake_says_what_it_keeps(server: OtherServer, lake_there: LakeResource) -> None:
    done = run_on(server.endpoint, lake_there, "check-lake")
    lost = [line for line in done.stdout.splitlines() if " no " in line]
    if isinstance(server, GoFakeS3):
        assert (done.returncode, lost) == (0, []), done.stdout + done.stderr
        assert sum(" yes" in line for line in done.stdout.splitlines()) == len(PROMISES)
    else:
        assert done.returncode == 1, done.stdout
        assert lost
        assert all(line.strip().startswith("of 8 writers at once") for line in lost)
