"""The sensor on an instance that keeps its history on disk, over restarts of Dagster."""

from dataclasses import replace
from pathlib import Path

import dagster as dg

from game_analytics_tests.harness import ALL, Pipeline
from game_analytics_tests.sensors.ticks import (
    ANN_FIRST,
    BOB_FIRST,
    DAY,
    ann_leads,
    bob_leads,
    note_board,
    noted,
    put_later,
    run,
    stats_file,
    tick,
)


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


def test_the_latest_of_many_boards_of_a_day_decides(kept: Pipeline) -> None:
    assert kept.run(ALL, DAY).success
    etag = kept.recorded("top10_leaderboard", DAY, "source_etag")
    note_board(kept, DAY, made_from="older bytes")
    assert tick(kept).days == [DAY]
    note_board(kept, "2025-12-29", made_from=etag)  # another day's
    assert tick(kept).days == [DAY]
    note_board(kept, DAY, made_from=etag)
    assert tick(kept).skipped.startswith("All 1 boards")
