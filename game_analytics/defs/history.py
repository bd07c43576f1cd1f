"""What Dagster's instance remembers of an asset, day by day."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dagster as dg

from game_analytics.defs.dagster_internals import SqlRunStorage

RECORDED_BEFORE = "recorded_before"
"""In the metadata of a second record: at the end of a range Dagster records every day of it once more, though each was
recorded as it finished. What another run did in between is newer than that second record."""

_PAGE = 1000

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Fact:
    """What a materialization tells of the object that it wrote: it is true for ever of the object with this ETag, at
    its day's key in that lake. What lies there now may be another."""

    lake: str
    """`Lake.place`."""
    etag: str
    sha256: str
    source_etag: str | None
    source_sha256: str | None
    """None of a landing, whose source is no object."""
    rule: tuple[str, str] | None
    """Of a board: the rule's version and `min_engagements`, as text."""

    def is_of(self, place: str, etag: str) -> bool:
        """Whether it tells of the object with this ETag in this lake."""
        return (self.lake, self.etag) == (place, etag)


def latest_facts(instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]) -> Mapping[str, Fact]:
    """What the latest materialization of each of these partitions tells, if it tells enough.

    This process remembers what it has read: to read the records of a thousand days takes Dagster a third of a second.
    Storage uses the ids of deleted records again, so what is remembered may be of an earlier record than the latest;
    but each is a fact for ever, and one that is not of what lies in the lake now is no use to anybody.
    """
    storage = instance.run_storage
    # Every storage of Dagster's open source has an identity; where another one has none, all is read again.
    remembered = _remembered(storage.get_run_storage_id(), asset_key) if isinstance(storage, SqlRunStorage) else {}
    ids = _latest_ids(instance, asset_key, days)
    unknown = {day: latest for day, latest in ids.items() if remembered.get(day, (None,))[0] != latest}
    if unknown:
        wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(unknown.values()))
        records = instance.fetch_materializations(wanted, limit=len(unknown)).records
        remembered |= {day: (unknown[day], _fact(record)) for day, record in _by_day(records).items()}
    known = {day: remembered[day][1] for day in ids if day in remembered}
    return {day: fact for day, fact in known.items() if fact is not None}


@lru_cache(maxsize=16)
def _remembered(_storage: str, _asset_key: dg.AssetKey) -> dict[str, tuple[int, Fact | None]]:
    """Of each partition the id that was the latest, and what was read then: some hundred bytes each, and as many as
    there are partitions."""
    return {}


def _fact(record: dg.EventLogRecord) -> Fact | None:
    lake, etag, sha256, source_etag, source_sha256 = (
        value if isinstance(value := recorded(record, name), str) else None
        for name in ("lake", "etag", "sha256", "source_etag", "source_sha256")
    )
    if lake is None or etag is None or sha256 is None:
        return None  # of an earlier version, or reported by hand
    version, engagements = recorded(record, "rule_version"), recorded(record, "min_engagements")
    rule = None if version is None or engagements is None else (str(version), str(engagements))
    return Fact(lake, etag, sha256, source_etag, source_sha256, rule)


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
