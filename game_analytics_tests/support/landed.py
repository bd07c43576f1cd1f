"""Days as a landing and a count leave them in the lake, written down by hand: manifest, stats file, their records."""

import hashlib
import io
import json

import dagster as dg

from game_analytics.lake.bucket import Lake
from game_analytics_tests.support.harness import foreign_stats

TOPIC = "game-events"


def token(day: str) -> str:
    return day.replace("-", "_")


def manifest_file(day: str) -> str:
    return f"raw/manifests/{token(day)}.json"


def old_manifest_file(day: str) -> str:
    return f"raw/{token(day)}/manifest.json"


def stats_file(day: str) -> str:
    return f"events/{token(day)}_events.parquet"


def manifest_of(
    day: str, *, closed: bool = True, log: str = TOPIC, cluster: str | None = None, read: int = 0, **classes: int
) -> bytes:
    """A landing's receipt. ``classes`` are what became of the messages that were read, all in partition 0."""
    account = {name: classes.get(name, 0) for name in ("landed", "ignored", "other_days", "quarantined")}
    manifest = {
        "version": 2,
        "day": day,
        "topic": log,
        "topic_id": None,
        "cluster_id": cluster,
        "window": {"start": f"{day}T00:00:00Z", "end": f"{day}T23:59:59Z"},
        "window_closed": closed,
        "partitions": [
            {"partition": 0, "first": 0, "end": read, "next_day_first": read, "read": read, "gaps": 0, **account}
        ],
        "objects": [],
        "missed": {},
    }
    return json.dumps(manifest).encode()


def stats_of(manifest: bytes | None, *, kills: int = 4) -> bytes:
    """A stats file that was made from this manifest, or by somebody else."""
    metadata = {} if manifest is None else {"game_analytics.manifest_sha256": sha256(manifest)}
    return parquet_with(metadata, kills)


def parquet_with(metadata: dict[str, str], kills: int = 4) -> bytes:
    buffer = io.BytesIO()
    foreign_stats(ann=(kills, 0), bob=(1, 2)).write_parquet(buffer, metadata=metadata)
    return buffer.getvalue()


def put_landing(lake: Lake, day: str, manifest: bytes | None = None) -> bytes:
    """Returns the manifest, that of a closed and empty day unless another is given."""
    manifest = manifest_of(day) if manifest is None else manifest
    lake.put(manifest_file(day), manifest)
    return manifest


def put_counted(lake: Lake, *days: str, closed: bool = True) -> None:
    """Days that are landed and counted, without any work done."""
    for day in days:
        lake.put(stats_file(day), stats_of(put_landing(lake, day, manifest_of(day, closed=closed))))


def note_stats(instance: dg.DagsterInstance, lake: Lake, day: str, manifest: bytes, stats: bytes) -> None:
    """The record of a count, as its run leaves it."""
    metadata = {
        "lake": lake.place,
        "etag": md5(stats),
        "sha256": sha256(stats),
        "source_etag": md5(manifest),
        "source_sha256": sha256(manifest),
    }
    instance.report_runless_asset_event(dg.AssetMaterialization("daily_player_stats", partition=day, metadata=metadata))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    """As S3 names what comes in one piece."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
