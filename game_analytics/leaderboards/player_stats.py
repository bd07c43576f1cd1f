"""Counts a day's landed events per player and publishes the stats file. Reads only objects that the day's manifest
lists."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import Contested, InputChanged, Lake, Unreadable, parquet_metadata_of, to_parquet
from game_analytics.lake.claims import MANIFEST_ETAG, MANIFEST_SHA256
from game_analytics.lake.committed import CommittedLanding, is_current, read_landing
from game_analytics.lake.manifest import LandedObject
from game_analytics.lake.names import board_key, day_prefix, manifest_key, stats_key
from game_analytics.lake.stats_files import folder_of
from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.player_stats import METRICS, Metric, columns_read, ensure_all_counted, player_stats
from game_analytics.rules.receipt import agrees, receipt_of
from game_analytics.rules.repeats import Repeats

_HELD_IN_MEMORY = 1_000_000
"""A day with up to this many raw events is read from S3 once and held in memory; of a larger one, columns are read
whenever a query needs them."""

_LAND_AGAIN = "Land the day again, or restore the object from a backup."


@dataclass(frozen=True)
class Counted:
    """A day's stats and their totals, in events."""

    stats: pl.DataFrame
    by_column: Mapping[str, int]
    """The sums of the columns that count an event type: ``kills``, ``deaths``."""
    duplicates: int
    """Repeated deliveries, which are not counted."""
    repeats: Repeats


@dataclass(frozen=True)
class PublishedStats:
    """A stats file that was written: the landing it was counted from, its totals, ETag and SHA-256 (hex)."""

    landing: CommittedLanding
    counted: Counted
    etag: str
    sha256: str


def publish_stats(
    lake: Lake, day: date, *, replace_foreign: bool = False, metrics: Mapping[str, Metric] = METRICS
) -> PublishedStats:
    """Count the day's landed events and replace its stats file.

    A file that another program wrote or changed is replaced only with ``replace_foreign``. Raises `GameAnalyticsError`
    if there is such a file, if the day was not landed, if messages of it were read but none landed, or if its raw
    objects are not as listed; `Miscounted` if the counts don't add up; and what `Lake.replace` raises.
    """
    key = stats_key(day)

    def build() -> tuple[bytes, tuple[CommittedLanding, Counted, str]]:
        landing = landed_day(lake, day)
        _ensure_something_landed(landing)
        if not replace_foreign:
            ensure_own_or_absent(lake, day)
        counted = count(lake, landing, metrics)
        landed = landing.manifest.total()["landed"]
        ensure_all_counted(landed, sum(counted.by_column.values()), counted.duplicates)
        body = to_parquet(counted.stats, {MANIFEST_SHA256: landing.sha256, **receipt_of(counted.stats)})
        return body, (landing, counted, hashlib.sha256(body).hexdigest())

    try:
        (landing, counted, sha256), etag = lake.replace(key, build)
    except Contested:
        _ensure_no_folder(lake, day)
        raise
    return PublishedStats(landing, counted, etag, sha256)


def _ensure_no_folder(lake: Lake, day: date) -> None:
    """Raises `GameAnalyticsError` if a folder lies in the place of the stats file: servers that keep files can't have
    both."""
    is_folder = any(True for _ in lake.listing(f"{stats_key(day)}/"))
    if is_folder and lake.etag(stats_key(day)) is None:
        raise GameAnalyticsError(
            f"{lake.uri(stats_key(day))} can't be written: a folder of that name lies there, and this S3 server does "
            "not keep an object beside it. Remove the folder, then run again."
        )


def landed_day(lake: Lake, day: date) -> CommittedLanding:
    """The day's committed landing. Raises `GameAnalyticsError` if there is none."""
    landing = read_landing(lake, day)
    if landing is not None:
        return landing
    if is_own(lake.parquet_metadata(stats_key(day))):
        raise GameAnalyticsError(
            f"{lake.uri(manifest_key(day))} does not exist, though {lake.uri(stats_key(day))} was counted from it: "
            f"a lifecycle rule may have expired raw/. {still_there(lake, day)} To count {day} again, materialize "
            "raw_events for it while the log still holds it, or restore its raw/ from a backup."
        )
    raise GameAnalyticsError(
        f"{lake.uri(manifest_key(day))} does not exist: {day} was not landed yet. Materialize raw_events for it."
    )


def _ensure_something_landed(landing: CommittedLanding) -> None:
    day, messages = landing.manifest.day, landing.manifest.landed_nothing_of
    if messages is not None:
        raise GameAnalyticsError(
            f"None of the messages of {day} became an event: {messages}. So stats and board stay as they stand. The "
            f"last run of raw_events for {day} says why; once that is put right, land the day again."
        )


def count(lake: Lake, landing: CommittedLanding, metrics: Mapping[str, Metric] = METRICS) -> Counted:
    """The stats of the raw objects that the manifest lists.

    Raises `InputChanged` if one is gone because the day was landed again meanwhile; otherwise `GameAnalyticsError`
    naming the object that is gone, has another size or can't be read.
    """
    manifest = landing.manifest
    ensure_as_listed(lake, landing)
    events = lake.scan_parquet(manifest.keys("raw"), RAW_EVENTS)
    try:
        if manifest.rows("raw") <= _HELD_IN_MEMORY:
            events = lake.collect(events.select(columns_read(metrics))).lazy()
        read = lake.collect(events.select(pl.len())).item()
        stats, repeats = player_stats(events, lake.collect, metrics)
    except FileNotFoundError as error:
        if not is_current(lake, landing):
            raise InputChanged from error
        raise GameAnalyticsError(f"An object that {lake.uri(landing.key)} lists is gone. {_LAND_AGAIN}") from error
    except Unreadable as error:
        raise _naming_its_key(lake, manifest.keys("raw"), error) from None
    counts = [name for name, metric in metrics.items() if metric.counts]
    by_column = stats.select(pl.sum(*counts)).row(0, named=True)
    return Counted(stats.drop("events"), by_column, read - stats["events"].sum(), repeats)


def _naming_its_key(lake: Lake, keys: list[str], unreadable: Unreadable) -> GameAnalyticsError:
    """The error, naming the unreadable object, which is found by reading each alone."""
    for key in keys:
        try:
            lake.collect(lake.scan_parquet([key], RAW_EVENTS).select(columns_read()))
        except Unreadable as error:
            return GameAnalyticsError(f"{lake.uri(key)} can't be read as Parquet: {error.said}. {_LAND_AGAIN}")
    return unreadable


def ensure_as_listed(lake: Lake, landing: CommittedLanding) -> None:
    """Raises `GameAnalyticsError` naming the raw object that is gone or differs in size from the manifest;
    `InputChanged` if it is gone because the day was landed again meanwhile."""
    day = landing.manifest.day
    listed = [entry for entry in landing.manifest.objects if entry.kind == "raw"]
    sizes = {stored.key: stored.size for stored in lake.listing(day_prefix("raw", day))} if listed else {}
    gone = [entry.key for entry in listed if entry.key not in sizes]
    if gone and not is_current(lake, landing):
        raise InputChanged
    if gone and len(gone) == len(listed):
        raise GameAnalyticsError(
            f"All {len(gone)} raw objects of {day} that {lake.uri(landing.key)} lists are gone: a lifecycle rule may "
            f"have expired raw/. {still_there(lake, day)} To count {day} again, materialize raw_events for it while "
            f"the log still holds it, or restore {lake.uri(day_prefix('raw', day))} from a backup."
        )
    if gone:
        raise GameAnalyticsError(f"{lake.uri(gone[0])}, which {lake.uri(landing.key)} lists, is gone. {_LAND_AGAIN}")
    for entry in listed:
        _ensure_size(lake, landing, entry, sizes[entry.key])


def _ensure_size(lake: Lake, landing: CommittedLanding, listed: LandedObject, size: int) -> None:
    """Manifests of earlier versions have no sizes; then the object must only not be empty."""

    def is_right(size: int) -> bool:
        return size > 0 if listed.bytes is None else size == listed.bytes

    # Some servers list wrong sizes, so the object itself is asked before it counts as damaged.
    if not is_right(size) and not is_right(size := lake.size(listed.key) or 0):
        expected = "more" if listed.bytes is None else f"{listed.bytes:,}"
        raise GameAnalyticsError(
            f"{lake.uri(listed.key)} has {size:,} bytes, and {expected} by {lake.uri(landing.key)}: it was damaged or "
            f"replaced. Nothing was counted, and the stats published before stay. {_LAND_AGAIN}"
        )


def still_there(lake: Lake, day: date) -> str:
    """A sentence naming the day's published files that still exist."""
    published = [lake.uri(key) for key in (stats_key(day), board_key(day)) if lake.etag(key) is not None]
    return f"Still there, and unchanged: {' and '.join(published)}." if published else "Nothing of it was published."


def is_own(metadata: Mapping[str, str]) -> bool:
    """Whether this pipeline, in any version, wrote the stats file that has this Parquet metadata."""
    return MANIFEST_SHA256 in metadata or MANIFEST_ETAG in metadata


def _is_as_written(body: bytes, metadata: Mapping[str, str]) -> bool:
    try:
        return agrees(pl.read_parquet(io.BytesIO(body)), metadata)
    except pl.exceptions.PolarsError:  # its metadata can be read, its rows can't
        return False


def ensure_own_or_absent(lake: Lake, day: date) -> None:
    """Raises `GameAnalyticsError` if the stats file was written by another program, or changed after this pipeline
    wrote it."""
    whose = _foreign(lake, day)
    if whose is not None:
        raise GameAnalyticsError(
            f"{lake.uri(stats_key(day))} {whose}, so it stays as it is. To have the day counted again, remove the "
            "file, or run daily_player_stats with `replace_foreign_stats: true` in its run config."
        )


def _foreign(lake: Lake, day: date) -> str | None:
    """Why the day's stats file is not this pipeline's, None if it is, or if there is none."""
    stored = lake.get(stats_key(day))
    if stored is None:
        return None if folder_of(lake, day) is None else "is a folder of part files that another program wrote"
    metadata = parquet_metadata_of(stored.body)
    if not is_own(metadata):
        return "was not written by this pipeline"
    return None if _is_as_written(stored.body, metadata) else "was changed since this pipeline wrote it"
