"""The sensor on an instance on disk, across restarts of Dagster."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from game_analytics_tests.support.harness import ALL, Pipeline
from game_analytics_tests.support.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    note,
    noted,
    put_later,
    run,
    stats_file,
    tick,
)


@pytest.mark.trial
def test_boards_made_before_a_restart_count_and_changed_files_are_ranked(kept: Pipeline, home: Path) -> None:
    for day in ("2025-12-28", "2025-12-29", DAY):
        kept.put(stats_file(day), ann_leads())
    assert run(kept, tick(kept).requests[0]).success
    assert kept.run("leaderboard_job", days=("2025-12-29", DAY)).success
    with dg.DagsterInstance.local_temp(str(home)) as restarted:
        after = replace(kept, instance=restarted)
        assert tick(after).skipped.startswith("All 3 boards")
        after.put(stats_file("2025-12-29"), bob_leads())
        assert run(after, tick(after).request).success
        assert after.board("2025-12-29") == BOB_FIRST
        assert tick(after).days == []


@pytest.mark.trial
def test_runs_queued_before_a_restart_are_waited_for_and_failed_ones_not_repeated(kept: Pipeline, home: Path) -> None:
    kept.put(stats_file(DAY), ann_leads())
    queued = noted(kept, tick(kept).request, dg.DagsterRunStatus.QUEUED)
    with dg.DagsterInstance.local_temp(str(home)) as restarted:
        after = replace(kept, instance=restarted)
        assert tick(after).days == []
        restarted.report_run_failed(queued)
        assert tick(after).days == []
        put_later(after, ann_leads())
        assert run(after, tick(after).request).success
        assert after.board(DAY) == ANN_FIRST
        assert tick(after).days == []


@pytest.mark.trial
def test_a_record_of_another_object_does_not_count(kept: Pipeline) -> None:
    """Of an older run that records late, of another lake, or without metadata."""
    assert kept.run(ALL, DAY).success
    for entries in ({"lake": kept.lake.place, "etag": "older"}, {"lake": "another"}, {}):
        note(kept, DAY, **{"source_etag": "older", "sha256": "a", "source_sha256": "b", "etag": "c", **entries})
        assert tick(kept).skipped.startswith("All 1 boards")
