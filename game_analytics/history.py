"""What Dagster's instance remembers of an asset, day by day."""

from collections.abc import Mapping
from typing import Any

import dagster as dg


def latest_materializations(instance: dg.DagsterInstance, asset_key: dg.AssetKey) -> Mapping[str, dg.EventLogRecord]:
    """The latest materialization of each partition that has one, by partition key."""
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    if not ids:
        return {}
    wanted = dg.AssetRecordsFilter(asset_key=asset_key, storage_ids=list(ids.values()))
    records = instance.fetch_materializations(wanted, limit=len(ids)).records
    return {record.partition_key: record for record in records if record.partition_key is not None}


def recorded(record: dg.EventLogRecord | None, name: str) -> Any:
    """The value of a materialization's metadata entry; None where there is no such record or entry."""
    if record is None or record.asset_materialization is None:
        return None
    entry = record.asset_materialization.metadata.get(name)
    return None if entry is None else entry.value
