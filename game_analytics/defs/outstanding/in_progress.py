"""Which days are in progress: in runs that have not ended, and in backfills that have runs still to launch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from game_analytics.defs.dagster_internals import (
    AssetBackfillData,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from game_analytics.defs.history import UNFINISHED

LAKE_TAG = "game_analytics/lake"
"""On runs that a sensor or a schedule requested: the lake they work on, as `Lake.place`."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""On runs that Dagster launches for a range of partitions: its first and its last day."""
PARTITION = "dagster/partition"

STALLED_AFTER = timedelta(days=1)
"""An unfinished run without an update for this long counts as ended: its process may have been killed unnoticed."""


@dataclass(frozen=True)
class Scope:
    """The repository and lake whose runs count. Other code locations and lakes may share the instance."""

    instance: dg.DagsterInstance
    repository: dg.RepositoryDefinition
    place: str
    """`Lake.place`."""
    location: str | None = None
    """The name of the code location, where it is known."""

    def includes(self, run: dg.DagsterRun) -> bool:
        if run.tags.get(LAKE_TAG, self.place) != self.place:
            return False
        return is_of_location(run, self.location)


def is_of_location(run: dg.DagsterRun, location: str | None) -> bool:
    """Whether the run belongs to the code location of this name. True where either is unknown: runs of the command
    line name no code location, and a schedule does not know its own."""
    origin = run.remote_job_origin
    if origin is None or location is None:
        return True
    return origin.repository_origin.code_location_origin.location_name == location


def scope_of_sensor(context: dg.SensorEvaluationContext, place: str) -> Scope:
    repository = context.repository_def
    if repository is None:
        raise ValueError("a sensor is evaluated with its repository")
    origin = context.code_location_origin
    return Scope(context.instance, repository, place, None if origin is None else origin.location_name)


def scope_of_schedule(context: dg.ScheduleEvaluationContext, place: str) -> Scope:
    return Scope(context.instance, context.repository_def, place)


def days_in_progress(
    scope: Scope, asset_key: dg.AssetKey, days: Sequence[str], now: datetime | None = None
) -> AbstractSet[str]:
    """Those of the days for which a run will materialize this asset, however the run was launched."""
    since = (now or datetime.now(UTC)) - STALLED_AFTER
    runs = scope.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, updated_after=since))
    selected = [run for run in runs if scope.includes(run) and asset_key in _assets(run, scope.repository)]
    covered = [covers for run in selected if (covers := _covers(run.tags)) is not None]
    in_backfills = set(_in_backfills(scope, asset_key))
    return {day for day in days if day in in_backfills or any(covers(day) for covers in covered)}


def is_stalled(record: dg.RunRecord, now: datetime) -> bool:
    """Whether an unfinished run has had no update for `STALLED_AFTER`."""
    return record.update_timestamp < now - STALLED_AFTER


def _covers(tags: Mapping[str, str]) -> Callable[[str], bool] | None:
    """A function: whether a run with these tags covers a day. None for a run without partitions."""
    if PARTITION in tags:
        return tags[PARTITION].__eq__
    if RANGE_START in tags and RANGE_END in tags:
        start, end = tags[RANGE_START], tags[RANGE_END]
        return lambda day: start <= day <= end
    return None


def _assets(run: dg.DagsterRun, repository: dg.RepositoryDefinition) -> AbstractSet[dg.AssetKey]:
    """The assets that the run materializes: its selection, or all of its job."""
    return run.asset_selection if run.asset_selection is not None else _assets_of_job(run.job_name, repository)


def _assets_of_job(name: str, repository: dg.RepositoryDefinition) -> AbstractSet[dg.AssetKey]:
    return set(repository.get_job(name).asset_layer.selected_asset_keys) if repository.has_job(name) else set()


def _in_backfills(scope: Scope, asset_key: dg.AssetKey) -> Iterator[str]:
    """The days of requested backfills that have no run yet. The daemon launches these within half a minute or so."""
    requested = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    for backfill in scope.instance.get_backfills(filters=requested):
        if backfill.asset_backfill_data is not None:
            yield from _in_asset_backfill(backfill.asset_backfill_data, asset_key)
        elif backfill.job_name and asset_key in _assets_of_job(backfill.job_name, scope.repository):
            yield from _in_job_backfill(backfill)


def _in_asset_backfill(data: AssetBackfillData, asset_key: dg.AssetKey) -> Iterator[str]:
    """The backfill's partitions that have neither been requested nor failed."""
    subsets = (data.requested_subset, data.failed_and_downstream_subset)
    done = [subset.partitions_subsets_by_asset_key.get(asset_key, ()) for subset in subsets]
    target = data.target_subset.partitions_subsets_by_asset_key.get(asset_key)
    for day in () if target is None else target.get_partition_keys():
        if not any(day in each for each in done):
            yield day


def _in_job_backfill(backfill: PartitionBackfill) -> Iterator[str]:
    """The partitions after the last one submitted: a job backfill launches one run per partition, in order."""
    names = list(backfill.partition_names or [])
    last = backfill.last_submitted_partition_name
    yield from names[names.index(last) + 1 :] if last in names else names
