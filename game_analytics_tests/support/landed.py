"""Landed and counted days written by hand: manifest, stats file, and their records."""

import hashlib
import io
import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.lake.manifest import Account, LandedObject, Manifest
from game_analytics.lake.names import manifest_key, slice_key
from game_analytics.rules.days import Window
from game_analytics_tests.support.harness import foreign_stats
from game_analytics_tests.support.samples import (
    DAY,
    death,
    kill,
    utc,
)

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
    """A landing's manifest. ``classes`` are the numbers of messages by class, all in partition 0."""
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
    """A stats file made from this manifest, or by another program."""
    metadata = {} if manifest is None else {"game_analytics.manifest_sha256": sha256(manifest)}
    return parquet_with(metadata, kills)


def parquet_with(metadata: dict[str, str], kills: int = 4) -> bytes:
    buffer = io.BytesIO()
    foreign_stats(ann=(kills, 0), bob=(1, 2)).write_parquet(buffer, metadata=metadata)
    return buffer.getvalue()


def put_landing(lake: Lake, day: str, manifest: bytes | None = None) -> bytes:
    """Write the manifest, by default of a closed and empty day. Returns it."""
    manifest = manifest_of(day) if manifest is None else manifest
    lake.put(manifest_file(day), manifest)
    return manifest


def put_counted(lake: Lake, *days: str, closed: bool = True) -> None:
    """Write manifests and stats files of these days."""
    for day in days:
        lake.put(stats_file(day), stats_of(put_landing(lake, day, manifest_of(day, closed=closed))))


def note_stats(instance: dg.DagsterInstance, lake: Lake, day: str, manifest: bytes, stats: bytes) -> None:
    """Record a count as its run would."""
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
    """The ETag of a simple upload: the MD5 of the body."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


TOO_LONG = b'{"event_type": "KILL", "player_id": "' + b"x" * 200 + b'"}'


def quarantine_of_stricter_rules() -> pl.DataFrame:
    """A landing by an earlier version that quarantined names with spaces, other event types and future days."""
    delivered = datetime(2025, 12, 30, 12, tzinfo=UTC)
    rows: list[tuple[str, bytes | None, int, int, datetime]] = [
        ("bad_player_id", kill("ann lee"), 0, 10, delivered),
        ("bad_player_id", death("ann lee"), 0, 11, delivered),
        ("bad_event_type", b'{"event_type": "CHAT"}', 0, 12, delivered),
        ("bad_ts", kill("bob", ts="2025-12-31T00:00:00Z"), 0, 13, delivered),
        ("bad_player_id", TOO_LONG, 0, 14, delivered),  # which it still is
        ("tombstone", None, 0, 15, delivered),
    ]
    return pl.DataFrame(
        rows,
        schema={
            "reason": pl.String,
            "value": pl.Binary,
            "kafka_partition": pl.Int32,
            "kafka_offset": pl.Int64,
            "kafka_timestamp": pl.Datetime("ms", "UTC"),
        },
        orient="row",
    )


def put_quarantined_day(lake: Lake, quarantine: pl.DataFrame, *, missed: dict[str, int] | None = None) -> Manifest:
    """A day of offsets 0 to 19, of which 10 to 15 were quarantined, as landed by an earlier version."""
    body = to_parquet(quarantine)
    key = slice_key("quarantine", DAY, 0, 0, 20, "abcdef012345")
    lake.put(key, body)
    manifest = Manifest(
        version=1,
        day=DAY,
        topic="game-events",
        window=Window(utc("2025-12-29 23:55"), utc("2025-12-31 01:00")),
        window_closed=True,
        partitions=[
            Account(
                partition=0,
                first=0,
                end=20,
                next_day_first=18,
                read=16,
                gaps=4,
                landed=0,
                ignored=9,
                other_days=1,
                quarantined=6,
            )
        ],
        objects=[LandedObject(key, "quarantine", quarantine.height)],
        missed=missed or {},
    )
    lake.put(manifest_key(DAY), manifest.to_json())
    return manifest
