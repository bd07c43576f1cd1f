"""A day's landed events are counted per player, and the stats file is published. All that is read is what the day's
manifest lists."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake, Unreadable, parquet_metadata_of, to_parquet
from game_analytics.lake.claims import MANIFEST_ETAG, MANIFEST_SHA256
from game_analytics.lake.manifest import LandedObject
from game_analytics.lake.names import board_key, day_prefix, manifest_key, stats_key
from game_analytics.lake.standing import Standing, read_standing, still_stands
from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.player_stats import STATS, columns_read, ensure_all_counted, player_stats
from game_analytics.rules.receipt import agrees, receipt_of
from game_analytics.rules.repeats import Repeats

_HELD_IN_MEMORY = 1_000_000
"""Raw events that are read from S3 once; of more, the columns that are needed are read each time that they are."""

_LAND_AGAIN = "Land the day again, or restore the object from a backup."


@dataclass(frozen=True)
class Counted:
    """A day's stats and how they add up. All numbers count events."""

    stats: pl.DataFrame
    kills: int
    deaths: int
    duplicates: int
    repeats: Repeats


@dataclass(frozen=True)
class PublishedStats:
    """A stats file that was written: what it was counted from, and its ETag and SHA-256 (hex)."""

    landing: Standing
    counted: Counted
    etag: str
    sha256: str


def publish_stats(lake: Lake, day: date, *, replace_foreign: bool = False) -> PublishedStats:
    """Count the day's landed events and replace its stats file.

    A file that something else wrote, or changed, is replaced only with ``replace_foreign``. Raises
    `GameAnalyticsError` if such a file stands, if the day was not landed or its raw objects are not as listed;
    `Miscounted`; and what `Lake.replace` raises.
    """
    key = stats_key(day)

    def build() -> tuple[bytes, tuple[Standing, Counted, str]]:
        landing = landed_day(lake, day)
        if not replace_foreign:
            ensure_own_or_absent(lake, key)
        counted = count(lake, landing)
        ensure_all_counted(landing.manifest.total()["landed"], counted.kills + counted.deaths, counted.duplicates)
        body = to_parquet(counted.stats, {MANIFEST_SHA256: landing.sha256, **receipt_of(counted.stats)})
        return body, (landing, counted, hashlib.sha256(body).hexdigest())

    (landing, counted, sha256), etag = lake.replace(key, build)
    return PublishedStats(landing, counted, etag, sha256)


def landed_day(lake: Lake, day: date) -> Standing:
    """The landing of the day that stands. Raises `GameAnalyticsError` if the day was never landed."""
    found = read_standing(lake, day)
    if found is not None:
        return found
    if is_own(lake.parquet_metadata(stats_key(day))):
        raise GameAnalyticsError(
            f"{lake.uri(manifest_key(day))} does not exist, though {lake.uri(stats_key(day))} was counted from it: "
            f"a lifecycle rule may have expired raw/. {still_there(lake, day)} To count {day} again, materialize "
            "raw_events for it while the log still holds it, or restore its raw/ from a backup."
        )
    raise GameAnalyticsError(
        f"{lake.uri(manifest_key(day))} does not exist: {day} was not landed yet. Materialize raw_events for it."
    )


def count(lake: Lake, landing: Standing) -> Counted:
    """The stats of the objects that the manifest lists. If one is gone, the day was landed anew meanwhile, or lost."""
    manifest = landing.manifest
    ensure_as_listed(lake, landing)
    events = lake.scan_parquet(manifest.keys("raw"), RAW_EVENTS)
    try:
        if manifest.rows("raw") <= _HELD_IN_MEMORY:
            events = lake.collect(events.select(columns_read())).lazy()
        read = lake.collect(events.select(pl.len()))
        stats, repeats = player_stats(events, lake.collect)
    except FileNotFoundError as error:
        if not still_stands(lake, landing):
            raise InputChanged from error
        raise GameAnalyticsError(f"An object that {lake.uri(landing.key)} lists is gone. {_LAND_AGAIN}") from error
    except Unreadable as error:
        raise _with_its_key(lake, manifest.keys("raw"), error) from None
    kills, deaths, each_once = stats.select(pl.sum("kills", "deaths", "events")).row(0)
    return Counted(stats.select(STATS.names()), kills, deaths, read.item() - each_once, repeats)


def _with_its_key(lake: Lake, keys: list[str], unreadable: Unreadable) -> GameAnalyticsError:
    """The same with the object named, which is found by reading each alone."""
    for key in keys:
        try:
            lake.collect(lake.scan_parquet([key], RAW_EVENTS).select(columns_read()))
        except Unreadable as error:
            return GameAnalyticsError(f"{lake.uri(key)} can't be read as Parquet: {error.said}. {_LAND_AGAIN}")
    return unreadable


def ensure_as_listed(lake: Lake, landing: Standing) -> None:
    """Raises `GameAnalyticsError` naming the raw object that is gone, or has another size than the manifest tells;
    `InputChanged` if that is because the day was landed anew meanwhile."""
    day = landing.manifest.day
    listed = [each for each in landing.manifest.objects if each.kind == "raw"]
    sizes = {found.key: found.size for found in lake.listing(day_prefix("raw", day))} if listed else {}
    gone = [each.key for each in listed if each.key not in sizes]
    if gone and not still_stands(lake, landing):
        raise InputChanged
    if gone and len(gone) == len(listed):
        raise GameAnalyticsError(
            f"All {len(gone)} raw objects of {day} that {lake.uri(landing.key)} lists are gone: a lifecycle rule may "
            f"have expired raw/. {still_there(lake, day)} To count {day} again, materialize raw_events for it while "
            f"the log still holds it, or restore {lake.uri(day_prefix('raw', day))} from a backup."
        )
    if gone:
        raise GameAnalyticsError(f"{lake.uri(gone[0])}, which {lake.uri(landing.key)} lists, is gone. {_LAND_AGAIN}")
    for each in listed:
        _ensure_size(lake, landing, each, sizes[each.key])


def _ensure_size(lake: Lake, landing: Standing, listed: LandedObject, size: int) -> None:
    """Of an earlier version's manifest, which tells no size, only that it is not empty."""
    if size == listed.bytes or (listed.bytes is None and size > 0):
        return
    size = lake.size(listed.key) or 0  # some servers list other sizes than they deliver
    if size != listed.bytes and (listed.bytes is not None or size == 0):
        expected = "more" if listed.bytes is None else f"{listed.bytes:,}"
        raise GameAnalyticsError(
            f"{lake.uri(listed.key)} has {size:,} bytes, and {expected} by {lake.uri(landing.key)}: it was damaged or "
            f"replaced. Nothing was counted, and the stats that stand stay. {_LAND_AGAIN}"
        )


def still_there(lake: Lake, day: date) -> str:
    """Which of the day's published files stand."""
    stand = [lake.uri(key) for key in (stats_key(day), board_key(day)) if lake.etag(key) is not None]
    return f"Still there, and unchanged: {' and '.join(stand)}." if stand else "Nothing of it was published."


def is_own(metadata: Mapping[str, str]) -> bool:
    """Whether this pipeline wrote the stats file that has this Parquet metadata, in whatever version."""
    return MANIFEST_SHA256 in metadata or MANIFEST_ETAG in metadata


def _is_as_written(body: bytes, metadata: Mapping[str, str]) -> bool:
    try:
        return agrees(pl.read_parquet(io.BytesIO(body)), metadata)
    except pl.exceptions.PolarsError:  # its metadata can be read, its rows can't
        return False


def ensure_own_or_absent(lake: Lake, key: str) -> None:
    """Raises `GameAnalyticsError` if a stats file stands that this pipeline did not write as it is."""
    stored = lake.get(key)
    if stored is None:
        return
    metadata = parquet_metadata_of(stored.body)
    if not is_own(metadata):
        whose = "was not written by this pipeline"
    elif not _is_as_written(stored.body, metadata):
        whose = "was changed since this pipeline wrote it"
    else:
        return
    raise GameAnalyticsError(
        f"{lake.uri(key)} {whose}, so it stays as it is. To have the day counted anew, remove the file, or run "
        "daily_player_stats with `replace_foreign_stats: true` in its run config."
    )
