"""The latest materialization of each day in an instance, and its metadata."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.defs.history import RECORDED_BEFORE, latest_materializations, latest_provenance, recorded

BOARD = dg.AssetKey("top10_leaderboard")
STATS = dg.AssetKey("daily_player_stats")
DAYS = ["2025-12-28", "2025-12-29", "2025-12-30"]


@pytest.fixture(params=["in memory", "on disk"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The two store events differently."""
    if request.param == "in memory":
        with dg.DagsterInstance.ephemeral() as forgetful:
            yield forgetful
    else:
        with dg.DagsterInstance.local_temp(str(tmp_path)) as kept:
            yield kept


def note(instance: dg.DagsterInstance, asset: dg.AssetKey, day: str | None, **metadata: str | bool | int) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=day, metadata=metadata))


def etags(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, object]:
    return {day: recorded(board, "etag") for day, board in latest_materializations(instance, asset, DAYS).items()}


def test_an_asset_without_history_has_none(instance: dg.DagsterInstance) -> None:
    assert latest_materializations(instance, BOARD, DAYS) == {}
    note(instance, STATS, "2025-12-30", etag="of stats")
    assert etags(instance, BOARD) == {}


def test_the_latest_of_each_day_counts_whatever_came_in_between(instance: dg.DagsterInstance) -> None:
    note(instance, BOARD, "2025-12-30", etag="first")
    note(instance, BOARD, "2025-12-29", etag="only")
    note(instance, BOARD, "2025-12-30", etag="second")
    note(instance, STATS, "2025-12-30", etag="of stats")
    note(instance, BOARD, None, etag="of no day")
    assert etags(instance, BOARD) == {"2025-12-29": "only", "2025-12-30": "second"}


def test_a_later_materialization_has_a_higher_id(instance: dg.DagsterInstance) -> None:
    note(instance, BOARD, "2025-12-30")
    first = latest_materializations(instance, BOARD, DAYS)["2025-12-30"].storage_id
    note(instance, BOARD, "2025-12-30")
    assert latest_materializations(instance, BOARD, DAYS)["2025-12-30"].storage_id > first


def test_what_was_not_recorded_is_none(instance: dg.DagsterInstance) -> None:
    note(instance, BOARD, "2025-12-30", etag="given")
    board = latest_materializations(instance, BOARD, DAYS)["2025-12-30"]
    assert (recorded(board, "etag"), recorded(board, "source_etag")) == ("given", None)
    assert recorded(None, "etag") is None


def test_wiped_history_is_gone_and_what_comes_after_counts(instance: dg.DagsterInstance) -> None:
    note(instance, BOARD, "2025-12-30", etag="wiped")
    instance.wipe_assets([BOARD])
    assert etags(instance, BOARD) == {}
    note(instance, BOARD, "2025-12-30", etag="after")
    assert etags(instance, BOARD) == {"2025-12-30": "after"}


def test_days_that_were_not_asked_for_are_left_out(instance: dg.DagsterInstance) -> None:
    note(instance, BOARD, "2025-12-01", etag="of another day")
    assert etags(instance, BOARD) == {}
    assert latest_materializations(instance, BOARD, []) == {}


def test_a_repeated_record_of_a_range_does_not_hide_a_record_in_between(instance: dg.DagsterInstance) -> None:
    """A range records the 29th and 30th as they finish and again at its end; another run did the 30th meanwhile."""
    note(instance, BOARD, "2025-12-29", etag="by the range")
    note(instance, BOARD, "2025-12-30", etag="by the range")
    note(instance, BOARD, "2025-12-30", etag="by the other run")
    note(instance, BOARD, "2025-12-29", etag="by the range", **{RECORDED_BEFORE: True})
    note(instance, BOARD, "2025-12-30", etag="by the range", **{RECORDED_BEFORE: True})
    assert etags(instance, BOARD) == {"2025-12-29": "by the range", "2025-12-30": "by the other run"}


def note_board(instance: dg.DagsterInstance, day: str, etag: str, lake: str = "here") -> None:
    note(instance, BOARD, day, lake=lake, etag=etag, sha256="a", source_etag="b", source_sha256="c")


def facts(instance: dg.DagsterInstance) -> dict[str, str]:
    return {day: provenance.etag for day, provenance in latest_provenance(instance, BOARD, DAYS).items()}


@pytest.mark.trial
def test_a_later_record_replaces_the_cached_one(instance: dg.DagsterInstance) -> None:
    assert facts(instance) == {}
    note_board(instance, "2025-12-29", "only")
    note_board(instance, "2025-12-30", "first")
    assert facts(instance) == facts(instance) == {"2025-12-29": "only", "2025-12-30": "first"}
    note_board(instance, "2025-12-30", "second")
    assert facts(instance) == {"2025-12-29": "only", "2025-12-30": "second"}
    instance.wipe_assets([BOARD])
    assert facts(instance) == {}


def test_an_incomplete_record_has_no_provenance(instance: dg.DagsterInstance) -> None:
    """Written by an earlier version, or reported by hand."""
    note_board(instance, "2025-12-29", "whole")
    note(instance, BOARD, "2025-12-30", etag="without a lake", source_etag="b")
    assert facts(instance) == {"2025-12-29": "whole"}
    note(instance, BOARD, "2025-12-29")
    assert facts(instance) == {}


def test_provenance_belongs_to_one_object_in_one_lake(instance: dg.DagsterInstance) -> None:
    note_board(instance, "2025-12-30", "this", lake="here")
    provenance = latest_provenance(instance, BOARD, DAYS)["2025-12-30"]
    assert provenance.is_of("here", "this")
    assert not provenance.is_of("here", "that")
    assert not provenance.is_of("there", "this")


@pytest.mark.trial
def test_the_cache_is_per_instance(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    note_board(instance, "2025-12-30", "here")
    assert facts(instance) == {"2025-12-30": "here"}
    (tmp_path / "other").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "other")) as other:
        assert facts(other) == {}
        note_board(other, "2025-12-30", "there")
        assert facts(other) == {"2025-12-30": "there"}
    assert facts(instance) == {"2025-12-30": "here"}


def test_a_cached_record_is_not_read_again(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    note_board(instance, "2025-12-30", "read once")
    assert facts(instance) == {"2025-12-30": "read once"}
    monkeypatch.setattr(type(instance), "fetch_materializations", None)
    assert facts(instance) == {"2025-12-30": "read once"}


def test_an_entry_of_the_latest_record_is_read_each_time(instance: dg.DagsterInstance) -> None:
    """Ids of deleted records are reused, so an id alone does not identify a record."""
    note(instance, BOARD, "2025-12-30", rows=4)
    assert recorded(latest_materializations(instance, BOARD, DAYS)["2025-12-30"], "rows") == 4
    instance.wipe_assets([BOARD])
    assert latest_materializations(instance, BOARD, DAYS) == {}
    note(instance, BOARD, "2025-12-30", rows=5)
    assert recorded(latest_materializations(instance, BOARD, DAYS)["2025-12-30"], "rows") == 5
