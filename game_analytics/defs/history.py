"""What Dagster's instance has recorded about an asset, per partition."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dagster as dg

from game_analytics.defs.dagster_internals import SqlRunStorage

RECORDED_BEFORE = "recorded_before"
"""In the metadata of a repeated record. When a run over a range ends, Dagster records each of its days once more,
though each was recorded when it finished: a repeated record is later than what another run did in between."""

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
class Provenance:
    """What a materialization has recorded about the object it wrote: which source it was made from. It holds for the
    object with this ETag in this lake; the key may hold another one by now."""

    lake: str
    """`Lake.place`."""
    etag: str
    sha256: str
    source_etag: str | None
    source_sha256: str | None
    """None for landings, whose source is not an object."""
    rule: tuple[str, str] | None
    """For boards: the rule's version and `min_engagements`, as text."""

    def is_of(self, place: str, etag: str) -> bool:
        """Whether it describes the object with this ETag in this lake."""
        return (self.lake, self.etag) == (place, etag)


def latest_provenance(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]
) -> Mapping[str, Provenance]:
    """The provenance of the latest materialization of each of these partitions, by partition key. Partitions whose
    record lacks lake, ETag or SHA-256 are left out.

    Cached in this process by record id, since Dagster needs a third of a second to read the records of a thousand days.
    Storage reuses the ids of deleted records, so a cached entry may come from an earlier record than the latest. That
    does no harm: it is still true of its object, and `Provenance.is_of` rules it out for any other.
    """
    storage = instance.run_storage
    # Every storage of open-source Dagster has an id; with another one, nothing is cached.
    cache = _cache(storage.get_run_storage_id(), asset_key) if isinstance(storage, SqlRunStorage) else {}
    ids = _latest_ids(instance, asset_key, days)
    unknown = {day: latest for day, latest in ids.items() if cache.get(day, (None,))[0] != latest}
    if unknown:
        wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(unknown.values()))
        records = instance.fetch_materializations(wanted, limit=len(unknown)).records
        cache |= {day: (unknown[day], _provenance(record)) for day, record in _by_day(records).items()}
    known = {day: cache[day][1] for day in ids if day in cache}
    return {day: provenance for day, provenance in known.items() if provenance is not None}


@lru_cache(maxsize=16)
def _cache(_storage: str, _asset_key: dg.AssetKey) -> dict[str, tuple[int, Provenance | None]]:
    """By partition: the id of the latest record, and what was read from it. Some hundred bytes per partition."""
    return {}


def _provenance(record: dg.EventLogRecord) -> Provenance | None:
    lake, etag, sha256, source_etag, source_sha256 = (
        value if isinstance(value := recorded(record, name), str) else None
        for name in ("lake", "etag", "sha256", "source_etag", "source_sha256")
    )
    if lake is None or etag is None or sha256 is None:
        return None  # written by an earlier version, or reported by hand
    version, engagements = recorded(record, "rule_version"), recorded(record, "min_engagements")
    rule = None if version is None or engagements is None else (str(version), str(engagements))
    return Provenance(lake, etag, sha256, source_etag, source_sha256, rule)


def latest_materializations(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]
) -> Mapping[str, dg.EventLogRecord]:
    """The latest materialization of each of these partitions that has one, by partition key; never a repeated record.

    Uses the event log storage, the only interface with one query for the latest records of many partitions.
    """
    ids = _latest_ids(instance, asset_key, days)
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(ids.values()))
    records = _by_day(instance.fetch_materializations(wanted, limit=len(ids)).records)
    repeated = [day for day, record in records.items() if recorded(record, RECORDED_BEFORE)]
    return {**records, **_latest_original_records(instance, asset_key, repeated)}


def _latest_ids(instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]) -> Mapping[str, int]:
    """The id of the latest record of each of these partitions that has one, repeated records included."""
    if not days:
        return {}
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions=set(days)
    )


def _latest_original_records(
    instance: dg.DagsterInstance, asset_key: dg.AssetKey, days: Collection[str]
) -> Mapping[str, dg.EventLogRecord]:
    """The latest record of each of these partitions that is not a repeated one."""
    originals: dict[str, dg.EventLogRecord] = {}
    missing, cursor = set(days), None
    while missing:
        wanted = dg.AssetRecordsFilter(asset_key=asset_key, asset_partitions=sorted(missing))
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        of_page = [record for record in page.records if not recorded(record, RECORDED_BEFORE)]
        originals = {**_by_day(of_page), **originals}
        missing -= originals.keys()
        if not page.has_more:
            break
        cursor = page.cursor
    return originals


def _by_day(records: Sequence[dg.EventLogRecord]) -> dict[str, dg.EventLogRecord]:
    """The latest record of each partition. ``records`` are ordered from newest to oldest."""
    return {record.partition_key: record for record in reversed(records) if record.partition_key is not None}


def recorded(record: dg.EventLogRecord | None, name: str) -> Any:
    """The value of a materialization's metadata entry; None where there is no such record or entry."""
    if record is None or record.asset_materialization is None:
        return None
    entry = record.asset_materialization.metadata.get(name)
    return None if entry is None else entry.value
