"""`daily_player_stats`: a day's kills and deaths per player, by Polars."""

from dataclasses import dataclass
from datetime import date

import dagster as dg
import polars as pl

from game_analytics.assets.days import DayReport, Results, materialize_days, readable_failures
from game_analytics.assets.raw_events import raw_events
from game_analytics.assets.report import column_schema
from game_analytics.errors import GameAnalyticsError
from game_analytics.landing.standing import Standing, read_standing, still_stands
from game_analytics.layout import manifest_key, stats_key
from game_analytics.partitions import daily
from game_analytics.resources.configured import LakeResource
from game_analytics.resources.lake import InputChanged, Lake, to_parquet
from game_analytics.rules.events import RAW_EVENTS
from game_analytics.rules.player_stats import DESCRIPTIONS, STATS, columns_read, ensure_all_counted, player_stats

MADE_FROM = "game_analytics.manifest_etag"
"""In the file's Parquet metadata: the ETag of the manifest that it was made from. A file without it is somebody
else's."""

_HELD_IN_MEMORY = 1_000_000
"""Raw events that are read from S3 once; of more, the columns that are needed are read each time that they are."""


@dg.asset(
    deps=[raw_events],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="leaderboard",
    owners=["team:game-analytics"],
    kinds={"polars", "s3", "parquet"},
    tags={"domain": "game-analytics", "layer": "stats"},
    metadata={
        "dagster/column_schema": column_schema(STATS, DESCRIPTIONS),
        "grain": "one row per player with a kill or a death that UTC day, sorted by player_id",
        "rebuild": "whole, from the objects that the day's manifest lists",
    },
    check_specs=[
        dg.AssetCheckSpec(
            "made_from_closed_window",
            asset="daily_player_stats",
            description="The landing behind it saw its whole window.",
        ),
    ],
)
def daily_player_stats(context: dg.AssetExecutionContext, lake: LakeResource) -> Results:
    """One row per player with a kill or a death that UTC day: `events/YYYY_MM_DD_events.parquet`.

    Counts each landed event once: deliveries that agree in `event_id`, `player_id` and `event_type` are one event.
    """
    with readable_failures():
        opened = lake.open()
    yield from materialize_days(context, lambda day: publish_stats(opened, day))


@dataclass(frozen=True)
class Counted:
    """A day's stats and how they add up. All numbers count events."""

    stats: pl.DataFrame
    kills: int
    deaths: int
    duplicates: int


def publish_stats(lake: Lake, day: date) -> DayReport:
    """Count the day's landed events and replace its stats file."""
    key = stats_key(day)

    def build() -> tuple[bytes, tuple[Standing, Counted]]:
        landing = landed_day(lake, day)
        counted = count(lake, landing)
        ensure_all_counted(landing.manifest.total()["landed"], counted.kills + counted.deaths, counted.duplicates)
        if counted.stats.is_empty():
            ensure_own_or_absent(lake, key)
        return to_parquet(counted.stats, {MADE_FROM: landing.etag}), (landing, counted)

    (landing, counted), etag = lake.replace(key, build)
    manifest = landing.manifest
    return DayReport(
        metadata={
            "dagster/row_count": counted.stats.height,
            "dagster/uri": lake.uri(key),
            "landed": manifest.total()["landed"],
            "kills": counted.kills,
            "deaths": counted.deaths,
            "duplicates": counted.duplicates,
            "window_closed": manifest.window_closed,
            "source_etag": landing.etag,
            "etag": etag,
        },
        findings={
            "made_from_closed_window": None
            if manifest.window_closed
            else "made from a landing before its window closed: land the day again"
        },
    )


def landed_day(lake: Lake, day: date) -> Standing:
    """The landing of the day that stands. Raises `GameAnalyticsError` if the day was never landed."""
    found = read_standing(lake, day)
    if found is None:
        raise GameAnalyticsError(
            f"{lake.uri(manifest_key(day))} does not exist: {day} was not landed yet. Materialize raw_events for it."
        )
    return found


def count(lake: Lake, landing: Standing) -> Counted:
    """The stats of the objects that the manifest lists. If one is gone, the day was landed anew meanwhile, or lost."""
    manifest = landing.manifest
    events = lake.scan_parquet(manifest.keys("raw"), RAW_EVENTS)
    try:
        if manifest.rows("raw") <= _HELD_IN_MEMORY:
            events = lake.collect(events.select(columns_read())).lazy()
        read = lake.collect(events.select(pl.len()))
        stats = player_stats(events, lake.collect)
    except FileNotFoundError as error:
        if not still_stands(lake, landing):
            raise InputChanged from error
        raise GameAnalyticsError(
            f"An object that {lake.uri(landing.key)} lists is gone. Land the day again."
        ) from error
    kills, deaths, each_once = stats.select(pl.sum("kills", "deaths", "events")).row(0)
    return Counted(stats.select(STATS.names()), kills, deaths, duplicates=read.item() - each_once)


def ensure_own_or_absent(lake: Lake, key: str) -> None:
    """Raises `GameAnalyticsError` if an empty day would replace a stats file that somebody else wrote."""
    if lake.etag(key) is not None and MADE_FROM not in lake.parquet_metadata(key):
        raise GameAnalyticsError(
            f"{lake.uri(key)} was written by somebody else, and the landing of that day is empty, so the file stays. "
            "Remove the file if the empty day is right."
        )
