"""What Dagster's instance remembers of an asset, day by day."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.storage.runs import SqlRunStorage

RECORDED_BEFORE = "recorded_before"
"""In the metadata of a second record: at the end of a range Dagster records every day of it once more, though each was
recorded as it finished. What another run did in between is newer than that second record."""

_PAGE = 1000

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Recorded:
    """One entry of a materialization's metadata, None where it has none of that name, and the materialization's id."""

    storage_id: int
    value: Any


def latest_recorded(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str], name: str
) -> Mapping[str, Recorded]:
    """What the latest materialization of each of these partitions that has one tells by this name.

    A record never changes, so this process remembers what it has read: to read the records of a thousand days takes
    Dagster a third of a second, and who asks again and again, as a sensor does, asks for the same ones.
    """
    storage = instance.run_storage
    # Every storage of Dagster's open source has an identity; where another one has none, all is read again.
    remembered = (
        _remembered(storage.get_run_storage_id(), asset_key, name) if isinstance(storage, SqlRunStorage) else {}
    )
    ids = _latest_ids(instance, asset_key, days)
    unknown = {day: latest for day, latest in ids.items() if day not in remembered or remembered[day][0] != latest}
    for day, record in _materializations(instance, asset_key, unknown).items():
        remembered[day] = ids[day], Recorded(record.storage_id, recorded(record, name))
    return {day: remembered[day][1] for day in ids if day in remembered}


@lru_cache(maxsize=16)
def _remembered(_storage: str, _asset_key: dg.AssetKey, _name: str) -> dict[str, tuple[int, Recorded]]:
    """Of each partition the id that was the latest, and what was read then: a hundred bytes or two each, and as many as
    there are partitions."""
    return {}


def latest_materializations(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]
) -> Mapping[str, dg.EventLogRecord]:
    """The latest materialization of each of these partitions that has one, by partition key.

    By way of the event log storage, which alone tells the latest record of many partitions in one query.
    """
    return _materializations(instance, asset_key, _latest_ids(instance, asset_key, days))


def _materializations(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, ids: Mapping[str, int]
) -> Mapping[str, dg.EventLogRecord]:
    """The records of these ids, each by its partition; in place of a second record the first one of the same work."""
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(ids.values()))
    records = _by_day(instance.fetch_materializations(wanted, limit=len(ids)).records)
    second = [day for day, record in records.items() if recorded(record, RECORDED_BEFORE)]
    return {**records, **_latest_first_records(instance, asset_key, second)}


def _latest_ids(instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]) -> Mapping[str, int]:
    """The id of the latest record of each of these partitions that has one, second ones among them."""
    if not days:
        return {}
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions=set(days)
    )


def _latest_first_records(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]
) -> Mapping[str, dg.EventLogRecord]:
    """The latest record of each of these partitions that is not the second one of the same work."""
    found: dict[str, dg.EventLogRecord] = {}
    missing, cursor = set(days), None
    while missing:
        wanted = dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=sorted(missing))
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        first_records = [record for record in page.records if not recorded(record, RECORDED_BEFORE)]
        found = {**_by_day(first_records), **found}
        missing -= found.keys()
        if not page.has_more:
            break
        cursor = page.cursor
    return found


def _by_day(records: Sequence[dg.EventLogRecord]) -> dict[str, dg.EventLogRecord]:
    """The first of the records, which come newest first, of each partition."""
    return {record.partition_key: record for record in reversed(records) if record.partition_key is not None}


def recorded(record: dg.EventLogRecord | None, name: str) -> Any:
    """The value of a materialization's metadata entry; None where there is no such record or entry."""
    if record is None or record.asset_materialization is None:
        return None
    entry = record.asset_materialization.metadata.get(name)
    return None if entry is None else entry.value


def unfinished_runs(instance: dg.DagsterInstance, sensor_name: str) -> Sequence[dg.DagsterRun]:
    """The runs that this sensor has asked for and that are queued or at work."""
    return instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags={"dagster/sensor_name": sensor_name}))


def spent_run_keys(instance: dg.DagsterInstance, run_keys: Sequence[str]) -> set[str]:
    """Those of the keys that a run has carried, whatever became of it."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": list(run_keys)})) if run_keys else []
    return {run.tags["dagster/run_key"] for run in runs}
