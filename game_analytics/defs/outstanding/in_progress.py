"""Which days are being worked on: by runs that are queued or at work, and by backfills whose runs are still to come."""

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
"""Of a run that a sensor or a schedule asked for: the lake that it is about."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Of a run that Dagster launches for a range of partitions: its first day and its last."""
PARTITION = "dagster/partition"

GIVEN_UP_AFTER = timedelta(days=1)
"""A run of which Dagster has heard nothing for so long is not waited for: its process may have died unseen."""


@dataclass(frozen=True)
class Surroundings:
    """Who asks: the runs of other code locations, and of other lakes on this instance, are none of its business."""

    instance: dg.DagsterInstance
    repository: dg.RepositoryDefinition
    place: str
    """`Lake.place`."""
    location: str | None = None
    """The name of the code location, where it is known."""

    def is_ours(self, run: dg.DagsterRun) -> bool:
        if run.tags.get(LAKE_TAG, self.place) != self.place:
            return False
        return is_of_location(run, self.location)


def is_of_location(run: dg.DagsterRun, location: str | None) -> bool:
    """Whether a run is of the code location of this name; also where its own, as of a command line's run, or this one,
    as in a schedule, is not known."""
    origin = run.remote_job_origin
    if origin is None or location is None:
        return True
    return origin.repository_origin.code_location_origin.location_name == location


def of_sensor(context: dg.SensorEvaluationContext, place: str) -> Surroundings:
    repository = context.repository_def
    if repository is None:
        raise ValueError("a sensor is evaluated with its repository")
    origin = context.code_location_origin
    return Surroundings(context.instance, repository, place, None if origin is None else origin.location_name)


def of_schedule(context: dg.ScheduleEvaluationContext, place: str) -> Surroundings:
    return Surroundings(context.instance, context.repository_def, place)


def under_way(
    around: Surroundings, asset_key: dg.AssetKey, days: Sequence[str], now: datetime | None = None
) -> AbstractSet[str]:
    """Those of the days that a run is about to make this asset of, whoever has launched it."""
    since = (now or datetime.now(UTC)) - GIVEN_UP_AFTER
    runs = around.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, updated_after=since))
    ours = [run for run in runs if around.is_ours(run) and asset_key in _assets(run, around.repository)]
    covered = [covers for run in ours if (covers := _covers(run.tags)) is not None]
    to_come = set(_to_come(around, asset_key))
    return {day for day in days if day in to_come or any(covers(day) for covers in covered)}


def is_given_up(record: dg.RunRecord, now: datetime) -> bool:
    """Whether a run that has not ended is waited for no more."""
    return record.update_timestamp < now - GIVEN_UP_AFTER


def _covers(tags: Mapping[str, str]) -> Callable[[str], bool] | None:
    """Whether a run of these tags is about a day; None if it is about none."""
    if PARTITION in tags:
        return tags[PARTITION].__eq__
    if RANGE_START in tags and RANGE_END in tags:
        start, end = tags[RANGE_START], tags[RANGE_END]
        return lambda day: start <= day <= end
    return None


def _assets(run: dg.DagsterRun, repository: dg.RepositoryDefinition) -> AbstractSet[dg.AssetKey]:
    """What a run makes: what was selected, or all that its job makes."""
    return run.asset_selection if run.asset_selection is not None else _assets_of_job(run.job_name, repository)


def _assets_of_job(name: str, repository: dg.RepositoryDefinition) -> AbstractSet[dg.AssetKey]:
    return set(repository.get_job(name).asset_layer.selected_asset_keys) if repository.has_job(name) else set()


def _to_come(around: Surroundings, asset_key: dg.AssetKey) -> Iterator[str]:
    """The days of backfills that were asked for and that have no run yet: for up to half a minute."""
    requested = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    for backfill in around.instance.get_backfills(filters=requested):
        if backfill.asset_backfill_data is not None:
            yield from _partitions_to_come(backfill.asset_backfill_data, asset_key)
        elif backfill.job_name and asset_key in _assets_of_job(backfill.job_name, around.repository):
            yield from _names_to_come(backfill)


def _partitions_to_come(data: AssetBackfillData, asset_key: dg.AssetKey) -> Iterator[str]:
    """What a backfill of assets was asked for, without what has runs already and what can't be done any more."""
    subsets = (data.requested_subset, data.failed_and_downstream_subset)
    done = [subset.partitions_subsets_by_asset_key.get(asset_key, ()) for subset in subsets]
    target = data.target_subset.partitions_subsets_by_asset_key.get(asset_key)
    for day in () if target is None else target.get_partition_keys():
        if not any(day in each for each in done):
            yield day


def _names_to_come(backfill: PartitionBackfill) -> Iterator[str]:
    """A backfill of a job launches a run for each partition, one after the other."""
    names = list(backfill.partition_names or [])
    last = backfill.last_submitted_partition_name
    yield from names[names.index(last) + 1 :] if last in names else names
