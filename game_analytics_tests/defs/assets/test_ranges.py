"""A run of all assets over a range in which one day fails: the other days' files, and the run's error.

Runs use the definitions' executor, as the daemon's do; `execute_in_process` would replace it.
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
from game_analytics_tests.support.harness import (
    days_ago,
    failure_of,
    foreign_stats,
    given_log,
    instance_in_memory,
    parquet,
    pipeline_on,
)
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.processes import eventually

RAW, STATS, BOARDS = "raw_events", "daily_player_stats", "top10_leaderboard"
ALL_OF_THEM = [RAW, STATS, BOARDS]
ALL_DAYS = [str(day) for day in DAYS]
GOOD = [FIRST, SECOND, FOURTH, FIFTH]
"""All but the third."""

RANGE = {"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": FIFTH}
QUIETLY = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def all_assets(
    url: str, key_id: str, secret: str, bucket: str, faults: str, empty: str, unreadable: str
) -> dg.JobDefinition:
    """The job of all three assets, on a log in which some days are faulty and others empty."""
    empty_days, unreadable_days = ([date.fromisoformat(day) for day in days.split()] for days in (empty, unreadable))
    log = five_days(faults_named(faults), empty_days, unreadable_days)
    definitions = pipeline(given_log(log), lake_at(S3Endpoint(url, key_id, secret), bucket), PipelineSettings())
    # Its own name: the name of the UI's job is reserved by Dagster.
    named = dg.Definitions(jobs=[dg.define_asset_job("all_assets", selection="*")])
    return dg.Definitions.merge(definitions, named).resolve_job_def("all_assets")


def two_into_one(broken: tuple[str, str]) -> dg.JobDefinition:
    """Two assets that fail for one day each, and one downstream of both that does not fail."""

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
    """Runs on an instance on disk, and the lake after them."""

    instance: dg.DagsterInstance
    lake_resource: LakeResource

    def run(
        self, *, faults: str = "", empty: str = "", unreadable: str = "", tags: Mapping[str, str] | None = None
    ) -> "Ended":
        """All three assets for the range of five days, unless tags name another one."""
        s3 = self.lake_resource.s3
        given = {
            "url": s3.endpoint_url,
            "key_id": s3.aws_access_key_id,
            "secret": s3.aws_secret_access_key,
            "bucket": self.lake_resource.bucket,
            "faults": faults,
            "empty": empty,
            "unreadable": unreadable,
        }
        job = dg.build_reconstructable_job(__name__, all_assets.__name__, reconstructable_kwargs=given)
        return Ended(self.instance, dg.execute_job(job, self.instance, QUIETLY, tags or RANGE).run_id)

    def materialized(self, asset: str) -> list[str]:
        """The days with a record of the asset."""
        return sorted(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def all_materialized(self) -> list[list[str]]:
        return [self.materialized(asset) for asset in ALL_OF_THEM]

    def records(self, asset: str) -> list[tuple[str, bool]]:
        """The asset's records, oldest first: the day, and whether it is a repeated record."""
        records = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000).records
        return [(str(record.partition_key), bool(recorded(record, RECORDED_BEFORE))) for record in reversed(records)]

    def boards(self) -> list[str]:
        """The days that have a board in the lake, as in its file name."""
        names = [found.key.split("/")[1] for found in self.lake_resource.open().listing("leaderboard/")]
        return [name.removesuffix("_top10.parquet").replace("_", "-") for name in names]


@dataclass(frozen=True)
class Ended:
    """A run that has ended, as recorded in the instance."""

    instance: dg.DagsterInstance
    run_id: str

    @property
    def status(self) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run.status

    def failures(self) -> dict[str, str]:
        """Each failed step with its error."""
        return {
            str(event.step_key): str(event.step_failure_data.user_failure_data.description)
            for event in self._events(dg.DagsterEventType.STEP_FAILURE)
            if event.step_failure_data.user_failure_data is not None
        }

    def started(self) -> list[str]:
        return [str(event.step_key) for event in self._events(dg.DagsterEventType.STEP_START)]

    def checks(self, asset: str) -> dict[str, str]:
        """The description of each check of the asset."""
        found = [
            event.asset_check_evaluation_data for event in self._events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        ]
        return {check.check_name: str(check.description) for check in found if check.asset_key == dg.AssetKey(asset)}

    def _events(self, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
        for record in self.instance.get_records_for_run(self.run_id, of_type=kind).records:
            assert record.event_log_entry.dagster_event is not None
            yield record.event_log_entry.dagster_event


@pytest.fixture
def history(lake_on_s3: LakeResource) -> Iterator[History]:
    with instance_in_memory() as instance:
        yield History(instance, lake_on_s3)


@pytest.fixture
def kept_history(lake_on_s3: LakeResource, tmp_path: Path) -> Iterator[History]:
    """An instance on disk, for several processes."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield History(instance, lake_on_s3)


@pytest.mark.trial
def test_a_day_that_is_not_landed_fails_its_step_and_other_days_get_their_boards(
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


@pytest.mark.trial
def test_check_results_of_the_finished_days_are_kept(history: History) -> None:
    run = history.run(faults=f"damaged {THIRD}", empty=FOURTH)
    assert run.checks(RAW)["has_events"] == f"{FOURTH}: no event was landed"
    assert run.checks(RAW)["window_closed"] == f"{FIRST} to {FIFTH}: all is well"
    assert set(run.checks(STATS).values()) == {f"{FIRST} to {FIFTH}: all is well"}
    assert run.checks(BOARDS) == {
        "somebody_is_ranked": f"{FOURTH}: the board is empty",
        "freshness": f"{FIFTH}: the board of {FIFTH} is published, from a closed window",
    }


@pytest.mark.trial
def test_each_step_skips_days_that_failed_upstream_and_names_its_own_failures(history: History) -> None:
    """The third day can't be landed. The fourth is empty and has a foreign stats file, which is not replaced."""
    history.lake_resource.open().put("events/2025_12_04_events.parquet", parquet(foreign_stats(ann=(1, 2))))
    run = history.run(faults=f"damaged {THIRD}", empty=FOURTH)
    assert history.all_materialized() == [GOOD, [FIRST, SECOND, FIFTH], [FIRST, SECOND, FIFTH]]
    failures = run.failures()
    assert list(failures) == [RAW, STATS]
    assert failures[STATS].startswith("1 of 4 days failed, the others are done and recorded.")
    assert f"\n{FOURTH}: s3://" in failures[STATS]
    assert THIRD not in failures[STATS]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_a_step_skips_days_that_any_upstream_step_has_not_done(history: History) -> None:
    job = dg.build_reconstructable_job(__name__, two_into_one.__name__, ((SECOND, FOURTH),))
    dg.execute_job(job, history.instance, run_config=QUIETLY, tags=RANGE)
    assert history.materialized("both") == [FIRST, THIRD, FIFTH]


@pytest.mark.filterwarnings("ignore:Parameter `backfill_policy`")
def test_if_every_day_failed_in_an_upstream_step_nothing_is_left_to_do(history: History) -> None:
    """And none is recorded, though Dagster records all days of a step that ends without an output."""
    job = dg.build_reconstructable_job(__name__, two_into_one.__name__, ((FIRST, SECOND),))
    first_two = {"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": SECOND}
    run = Ended(history.instance, dg.execute_job(job, history.instance, run_config=QUIETLY, tags=first_two).run_id)
    assert run.failures()["both"] == "Upstream steps have failed for every day, so there is nothing to do."
    assert history.materialized("both") == []


@pytest.mark.trial
def test_a_failed_days_published_files_stay(history: History) -> None:
    history.run()
    before = {found.key: found.etag for found in history.lake_resource.open().listing("")}
    assert history.run(faults=f"damaged {THIRD}").status == dg.DagsterRunStatus.FAILURE
    assert {found.key: found.etag for found in history.lake_resource.open().listing("")} == before


@pytest.mark.parametrize(
    "tags", [{"dagster/partition": THIRD}, dict.fromkeys(RANGE, THIRD)], ids=["a partition", "a range of one day"]
)
def test_a_single_day_that_fails_stops_the_downstream_steps(tags: Mapping[str, str], history: History) -> None:
    run = history.run(faults=f"damaged {THIRD}", tags=tags)
    assert run.failures() == {RAW: "the segment is damaged"}
    assert run.started() == [RAW]
    assert history.all_materialized() == [[], [], []]


@pytest.mark.trial
def test_a_day_of_which_no_message_became_an_event_is_recorded_and_goes_no_further(history: History) -> None:
    run = history.run(unreadable=THIRD)
    assert history.all_materialized() == [ALL_DAYS, GOOD, GOOD]
    assert list(run.failures()) == [RAW]
    assert run.failures()[RAW].startswith(
        "1 of 5 days failed, the others are done and recorded. Run these again once what they name is fixed:\n"
        f"{THIRD}: None of the messages of {THIRD} became an event: 2 could not be read"
    )
    assert run.checks(RAW)["has_events"].startswith(f"{THIRD}: None of the messages")


@pytest.mark.trial
def test_if_no_message_of_any_day_became_an_event_all_are_recorded_and_go_no_further(history: History) -> None:
    run = history.run(unreadable=" ".join(ALL_DAYS))
    assert history.all_materialized() == [ALL_DAYS, [], []]
    assert run.started() == [RAW]


def test_if_every_day_fails_downstream_steps_do_not_run(history: History) -> None:
    run = history.run(faults=", ".join(f"damaged {day}" for day in DAYS))
    assert run.started() == [RAW]
    assert run.failures()[RAW].startswith("5 of 5 days failed. Run these again once what they name is fixed:\n")


@pytest.mark.trial
def test_a_service_that_goes_away_fails_only_the_remaining_days(history: History) -> None:
    run = history.run(faults=f"gone {THIRD}")
    assert history.all_materialized() == [[FIRST, SECOND]] * 3
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.failures() == {
        RAW: "3 of 5 days failed, the others are done and recorded. Run these again once what they name is fixed:\n"
        + "\n".join(f"{day}: the broker went away" for day in (THIRD, FOURTH, FIFTH))
    }


@pytest.mark.trial
def test_repeating_a_range_does_all_days_and_a_repeated_record_does_not_hide_a_newer_run(
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


@pytest.mark.trial
def test_two_runs_of_one_range_of_which_one_fails_end_with_the_records_of_both(history: History) -> None:
    """A day that only one of the two runs can do is done."""
    history.run(faults=f"damaged {THIRD}")
    history.run(faults=f"damaged {FOURTH}")
    assert history.all_materialized() == [ALL_DAYS] * 3
    assert history.boards() == ALL_DAYS


@pytest.fixture
def environment(kept_history: History) -> dict[str, str]:
    """The environment of a command that uses this lake and this instance."""
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


@pytest.mark.trial
@pytest.mark.parametrize(
    "command",
    [MATERIALIZE, ("dg", "launch", "--assets", "*")],
    ids=["dagster asset materialize", "dg launch"],
)
def test_the_command_publishes_the_good_days_boards_and_exits_with_1(
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


@pytest.mark.trial
@pytest.mark.parametrize("asked_by_the_ui", [False, True])
def test_a_range_that_is_terminated_keeps_finished_days_and_starts_no_further_step(
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
def test_a_range_beyond_the_partitions_is_refused_in_a_sentence(
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
