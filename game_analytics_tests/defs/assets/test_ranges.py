"""A range in one run with all assets, of which a day fails: what the others get, and what the run says.

The runs here are as the daemon's are: `execute_in_process` has an executor of its own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.definitions import EXECUTOR, pipeline
from game_analytics.defs.days import DayReport, Results, materialize_days
from game_analytics.defs.history import RECORDED_BEFORE, recorded
from game_analytics.defs.partitions import daily, ensure_partitions
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.five_days import DAYS, FIFTH, FIRST, FOURTH, SECOND, THIRD, faults_named, five_days
from game_analytics_tests.support.harness import days_ago, failure_of, foreign_stats, given_log, parquet, pipeline_on
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.processes import eventually

RAW, STATS, BOARDS = "raw_events", "daily_player_stats", "top10_leaderboard"
ALL_OF_THEM = [RAW, STATS, BOARDS]
ALL_DAYS = [str(day) for day in DAYS]
GOOD = [FIRST, SECOND, FOURTH, FIFTH]
"""All but the third."""

RANGE = {"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": FIFTH}
QUIETLY = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def all_assets(url: str, key_id: str, secret: str, bucket: str, faults: str, empty: str) -> dg.JobDefinition:
    """The job of all three assets on a lake, its log with faults in some days and others empty."""
    log = five_days(faults_named(faults), [date.fromisoformat(day) for day in empty.split()])
    definitions = pipeline(given_log(log), lake_at(S3Endpoint(url, key_id, secret), bucket), PipelineSettings())
    # By a name of its own: the one of the UI's job is kept for Dagster.
    named = dg.Definitions(jobs=[dg.define_asset_job("all_assets", selection="*")])
    return dg.Definitions.merge(definitions, named).resolve_job_def("all_assets")


def two_into_one(broken: tuple[str, str]) -> dg.JobDefinition:
    """Two assets, each of which fails for a day, and one that follows both and does all of its days."""

    def failing(name: str, bad: str) -> dg.AssetsDefinition:
        def work(day: date) -> DayReport:
            if str(day) == bad:
                raise GameAnalyticsError(f"{name} is broken")
            return DayReport(metadata={})

        @dg.asset(name=name, partitions_def=daily, backfill_policy=dg.BackfillPolicy.single_run())
        def upstream(context: dg.AssetExecutionContext) -> Results:
            yield from materialize_days(context, work)

        return upstream

    left, right = failing("left", broken[0]), failing("right", broken[1])

    @dg.asset(deps=[left, right], partitions_def=daily, backfill_policy=dg.BackfillPolicy.single_run())
    def both(context: dg.AssetExecutionContext) -> Results:
        yield from materialize_days(context, lambda _: DayReport(metadata={}))

    job = dg.define_asset_job("two_into_one", selection="*")
    return dg.Definitions([left, right, both], jobs=[job], executor=EXECUTOR).resolve_job_def(job.name)


@dataclass(frozen=True)
class History:
    """Runs that are kept in an instance on disk, and what lies in the lake after them."""

    instance: dg.DagsterInstance
    lake_resource: LakeResource

    def run(self, *, faults: str = "", empty: str = "", tags: Mapping[str, str] | None = None) -> "Ended":
        """All three assets for the range of five days, unless tags name another one."""
        s3 = self.lake_resource.s3
        given = {
            "url": s3.endpoint_url,
            "key_id": s3.aws_access_key_id,
            "secret": s3.aws_secret_access_key,
            "bucket": self.lake_resource.bucket,
            "faults": faults,
            "empty": empty,
        }
        job = dg.build_reconstructable_job(__name__, all_assets.__name__, reconstructable_kwargs=given)
        return Ended(self.instance, dg.execute_job(job, self.instance, QUIETLY, tags or RANGE).run_id)

    def materialized(self, asset: str) -> list[str]:
        """The days of which it has a record."""
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def all_materialized(self) -> list[list[str]]:
        return [self.materialized(asset) for asset in ALL_OF_THEM]

    def records(self, asset: str) -> list[tuple[str, bool]]:
        """Each record of it, oldest first: of which day, and whether it repeats an earlier one."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000).records
        return [(str(record.partition_key), bool(recorded(record, RECORDED_BEFORE))) for record in reversed(records)]

    def boards(self) -> list[str]:
        """The days whose board lies in the lake, by the name of its file."""
        names = [found.key.split("/")[1] for found in self.lake_resource.open().listing("leaderboard/")]
        return [name.removesuffix("_top10.parquet").replace("_", "-") for name in names]


@dataclass(frozen=True)
class Ended:
    """A run that has ended, as the instance remembers it."""

    instance: dg.DagsterInstance
    run_id: str

    @property
    def status(self) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run.status

    def failures(self) -> dict[str, str]:
        """Each step that failed, with what it says."""
        return {
            str(event.step_key): str(event.step_failure_data.user_failure_data.description)
            for event in self._events(dg.DagsterEventType.STEP_FAILURE)
            if event.step_failure_data.user_failure_data is not None
        }

    def started(self) -> list[str]:
        return [str(event.step_key) for event in self._events(dg.DagsterEventType.STEP_START)]

    def checks(self, asset: str) -> dict[str, str]:
        """What each check of the asset says."""
        found = [
            event.asset_check_evaluation_data for event in self._events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        ]
        return {check.check_name: str(check.description) for check in found if check.asset_key == dg.AssetKey(asset)}

    def _events(self, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
        for record in self.instance.get_records_for_run(self.run_id, of_type=kind).records:
            assert record.event_log_entry.dagster_event is not None
            yield record.event_log_entry.dagster_event


@pytest.fixture
def history(lake_resource: LakeResource) -> Iterator[History]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield History(instance, lake_resource)


@pytest.fixture
def kept_history(lake_resource: LakeResource, tmp_path: Path) -> Iterator[History]:
    """One on disk, for several processes."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield History(instance, lake_resource)


def test_a_day_that_is_not_landed_takes_no_other_days_board_and_is_named_where_it_failed_alone(
    history: History,
) -> None:
    run = history.run(faults=f"damaged {THIRD}")
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.failures() == {
        RAW: "1 of 5 days failed, the others are done and recorded. Run these again once what they name is fixed:\n"
        f"{THIRD}: the segment is damaged"
    }
    assert history.all_materialized() == [GOOD, GOOD, GOOD]
    assert history.boards() == GOOD


def test_what_the_checks_found_of_the_days_that_were_done_is_kept(history: History) -> None:
    run = history.run(faults=f"damaged {THIRD}", empty=FOURTH)
    assert run.checks(RAW)["has_events"] == f"{FOURTH}: no event was landed"
    assert run.checks(RAW)["window_closed"] == f"{FIRST} to {FIFTH}: all is well"
    assert set(run.checks(STATS).values()) == {f"{FIRST} to {FIFTH}: all is well"}
    assert run.checks(BOARDS) == {
        "somebody_is_ranked": f"{FOURTH}: the board is empty",
        "freshness": f"{FIFTH}: the board of {FIFTH} is published, from a closed window",
    }


def test_each_step_leaves_out_what_failed_before_it_and_names_what_failed_in_it(history: History) -> None:
    """The third can't be landed. The fourth is empty, and its stats file somebody else's, which an empty day spares."""
    history.lake_resource.open().put("events/2025_12_04_events.parquet", parquet(foreign_stats(ann=(1, 2))))
    run = history.run(faults=f"damaged {THIRD}", empty=FOURTH)
    assert history.all_materialized() == [GOOD, [FIRST, SECOND, FIFTH], [FIRST, SECOND, FIFTH]]
    failures = run.failures()
    assert list(failures) == [RAW, STATS]
    assert failures[STATS].startswith("1 of 4 days failed, the others are done and recorded.")
    assert f"\n{FOURTH}: s3://" in failures[STATS]
    assert THIRD not in failures[STATS]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_a_step_leaves_out_what_any_of_the_steps_before_it_has_not_done(history: History) -> None:
    job = dg.build_reconstructable_job(__name__, two_into_one.__name__, ((SECOND, FOURTH),))
    dg.execute_job(job, history.instance, run_config=QUIETLY, tags=RANGE)
    assert history.materialized("both") == [FIRST, THIRD, FIFTH]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_where_each_day_has_failed_in_one_of_them_there_is_none_left_to_do(history: History) -> None:
    """And none is recorded, as Dagster would of a step that ends without a word."""
    job = dg.build_reconstructable_job(__name__, two_into_one.__name__, ((FIRST, SECOND),))
    first_two = {"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": SECOND}
    run = Ended(history.instance, dg.execute_job(job, history.instance, run_config=QUIETLY, tags=first_two).run_id)
    assert run.failures()["both"] == "Upstream steps have failed for every day, so there is nothing to do."
    assert history.materialized("both") == []


def test_what_stood_of_a_day_that_fails_stays(history: History) -> None:
    history.run()
    before = {found.key: found.etag for found in history.lake_resource.open().listing("")}
    assert history.run(faults=f"damaged {THIRD}").status == dg.DagsterRunStatus.FAILURE
    assert {found.key: found.etag for found in history.lake_resource.open().listing("")} == before


@pytest.mark.parametrize(
    "tags", [{"dagster/partition": THIRD}, dict.fromkeys(RANGE, THIRD)], ids=["a partition", "a range of one day"]
)
def test_a_single_day_that_fails_stops_the_steps_behind_it(tags: Mapping[str, str], history: History) -> None:
    run = history.run(faults=f"damaged {THIRD}", tags=tags)
    assert run.failures() == {RAW: "the segment is damaged"}
    assert run.started() == [RAW]
    assert history.all_materialized() == [[], [], []]


def test_where_every_day_fails_nothing_is_left_to_do_for_the_steps_behind(history: History) -> None:
    run = history.run(faults=", ".join(f"damaged {day}" for day in DAYS))
    assert run.started() == [RAW]
    assert run.failures()[RAW].startswith("5 of 5 days failed. Run these again once what they name is fixed:\n")


def test_a_service_that_goes_away_fails_the_days_that_remain_and_no_day_before(history: History) -> None:
    run = history.run(faults=f"gone {THIRD}")
    assert history.all_materialized() == [[FIRST, SECOND]] * 3
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.failures() == {
        RAW: "3 of 5 days failed, the others are done and recorded. Run these again once what they name is fixed:\n"
        + "\n".join(f"{day}: the broker went away" for day in (THIRD, FOURTH, FIFTH))
    }


def test_the_same_range_again_does_all_days_and_what_was_done_meanwhile_is_newer_than_its_repetition(
    history: History,
) -> None:
    history.run(faults=f"damaged {THIRD}")
    assert [history.records(asset) for asset in ALL_OF_THEM] == [[(day, False) for day in GOOD]] * 3
    assert history.run().status == dg.DagsterRunStatus.SUCCESS
    for asset in ALL_OF_THEM:
        first, second, repeated = (history.records(asset)[start:end] for start, end in ((0, 4), (4, 9), (9, 14)))
        assert first == [(day, False) for day in GOOD]
        assert second == [(day, False) for day in ALL_DAYS]
        assert repeated == [(day, True) for day in ALL_DAYS]
    assert history.boards() == ALL_DAYS


def test_two_runs_of_one_range_of_which_one_fails_end_with_the_records_of_both(history: History) -> None:
    """A day that only one of them can do is done."""
    history.run(faults=f"damaged {THIRD}")
    history.run(faults=f"damaged {FOURTH}")
    assert history.all_materialized() == [ALL_DAYS] * 3
    assert history.boards() == ALL_DAYS


@pytest.fixture
def environment(kept_history: History) -> dict[str, str]:
    """What a command needs that works on this lake and this kept_history."""
    s3 = kept_history.lake_resource.s3
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "HOME": str(kept_history.instance.root_directory),
        "DAGSTER_HOME": str(kept_history.instance.root_directory),
        "GAME_ANALYTICS_BUCKET": kept_history.lake_resource.bucket,
        "AWS_ENDPOINT_URL": str(s3.endpoint_url),
        "AWS_REGION": str(s3.region_name),
        "AWS_ACCESS_KEY_ID": str(s3.aws_access_key_id),
        "AWS_SECRET_ACCESS_KEY": str(s3.aws_secret_access_key),
    }


MODULE = ("-m", five_days.__module__)
MATERIALIZE = ("dagster", "asset", "materialize", "--select", "*")
RANGE_OPTION = ("--partition-range", f"{FIRST}...{FIFTH}")


@pytest.mark.parametrize(
    "command",
    [MATERIALIZE, ("dg", "launch", "--assets", "*")],
    ids=["dagster asset materialize", "dg launch"],
)
def test_a_command_makes_the_boards_of_the_good_days_and_ends_with_1(
    command: tuple[str, ...], kept_history: History, environment: Mapping[str, str]
) -> None:
    done = subprocess.run(  # noqa: S603 - our own commands
        [*command, *MODULE, *RANGE_OPTION],
        env={**environment, "FAULTS": f"damaged {THIRD}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert kept_history.all_materialized() == [GOOD, GOOD, GOOD]
    assert kept_history.boards() == GOOD
    assert f"{THIRD}: the segment is damaged" in done.stderr
    assert "Steps failed: ['raw_events']" in done.stderr


@pytest.mark.parametrize("asked_by_the_ui", [False, True])
def test_a_range_that_is_ended_half_way_keeps_what_was_done_and_begins_no_further_step(
    asked_by_the_ui: bool, kept_history: History, environment: Mapping[str, str]
) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*MATERIALIZE, *MODULE, *RANGE_OPTION],
        env={**environment, "FAULTS": f"silent {THIRD}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: kept_history.materialized(RAW) == [FIRST, SECOND], "two days are landed")
        [run] = kept_history.instance.get_runs()
        if asked_by_the_ui:  # it marks the run before it has its process told
            kept_history.instance.report_run_canceling(run)
        process.send_signal(signal.SIGTERM if asked_by_the_ui else signal.SIGINT)
        assert process.wait(timeout=60) == 1
    finally:
        process.kill()
        process.wait()
    assert kept_history.all_materialized() == [[FIRST, SECOND], [], []]
    ended = Ended(kept_history.instance, run.run_id)
    assert ended.status == (dg.DagsterRunStatus.CANCELED if asked_by_the_ui else dg.DagsterRunStatus.FAILURE)
    assert ended.started() == [RAW]


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (FIFTH, FIRST, f"The range begins on {FIFTH} and ends before that, on {FIRST}, so it has no day. Name the "),
        ("2023-12-31", "2024-01-02", "2023-12-31 lies before the first partition, 2024-01-01. Begin there."),
        (days_ago(2), days_ago(-3), f"{days_ago(-3)} is no partition yet: a day is one once it is over, in UTC. The "),
    ],
)
def test_a_range_of_other_days_than_partitions_is_refused_in_a_sentence(
    first: str, last: str, says: str, lake_resource: LakeResource
) -> None:
    with pipeline_on(lake_resource, given_log(five_days({}))) as pipeline:
        for job in ("daily_stats_job", "leaderboard_job"):
            assert failure_of(pipeline.run(job, days=(first, last))).startswith(says)
        assert pipeline.content() == {}


def test_a_day_that_is_not_over_is_no_partition_and_yesterday_is_one() -> None:
    ensure_partitions(days_ago(1), days_ago(1))
    with pytest.raises(GameAnalyticsError, match=f"^{days_ago(0)} is no partition yet: .* The newest is {days_ago(1)}"):
        ensure_partitions(days_ago(0), days_ago(0))
