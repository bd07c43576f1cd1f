"""`daily_player_stats`: a day's kills and deaths per player, by Polars."""

import dagster as dg
from pydantic import Field

from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.days import DayReport, Results, materialize_days, readable_failures
from game_analytics.defs.metadata import column_schema
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import stats_key
from game_analytics.leaderboards.player_stats import PublishedStats, publish_stats
from game_analytics.rules.player_stats import DESCRIPTIONS, STATS, count_columns
from game_analytics.rules.repeats import MAX_PERCENT


class StatsConfig(dg.Config):
    """Run config."""

    replace_foreign_stats: bool = Field(
        default=False,
        description="Replace the day's stats file even if another program wrote it, or it was corrected by hand. Its "
        "content is lost; the board is rebuilt from the new counts.",
    )


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
        "grain": "one row per player with a counted event that UTC day, sorted by player_id",
        "account": f"landed = {' + '.join(count_columns())} + duplicates",
        "rebuild": "whole, from the objects that the day's manifest lists",
    },
    check_specs=[
        dg.AssetCheckSpec(
            "made_from_closed_window",
            asset="daily_player_stats",
            description="The stats are counted from a landing that read its whole window.",
        ),
        dg.AssetCheckSpec(
            "few_repeats",
            asset="daily_player_stats",
            description=f"At most {MAX_PERCENT} % of the day's landed events repeat others. If more do, their ids "
            "probably identify something else than an event, so that events are lost.",
        ),
        dg.AssetCheckSpec(
            "repeats_agree_in_time",
            asset="daily_player_stats",
            description="All deliveries of an event have the same time. If times differ, the id may identify an attack "
            "rather than a kill; or the events have no ts of their own and were sent twice.",
        ),
    ],
)
def daily_player_stats(context: dg.AssetExecutionContext, config: StatsConfig, lake: LakeResource) -> Results:
    """One row per player with a kill or a death that UTC day: `events/YYYY_MM_DD_events.parquet`.

    Counts each landed event once: deliveries that agree in `event_id`, `game_id`, `player_id` and `event_type` are one
    event. A stats file that another program wrote or changed stays, unless the run config says
    `replace_foreign_stats`.
    """
    with readable_failures():
        opened = lake.open()
    replace_foreign = config.replace_foreign_stats
    yield from materialize_days(
        context, lambda day: report(publish_stats(opened, day, replace_foreign=replace_foreign), opened)
    )


def report(published: PublishedStats, lake: Lake) -> DayReport:
    """Metadata and check findings of the day's materialization."""
    landing, counted = published.landing, published.counted
    manifest, landed = landing.manifest, landing.manifest.total()["landed"]
    return DayReport(
        metadata={
            "dagster/row_count": counted.stats.height,
            "dagster/uri": lake.uri(stats_key(manifest.day)),
            "landed": landed,
            **counted.by_column,
            "duplicates": counted.duplicates,
            "repeated_at_other_times": counted.repeats.at_other_times,
            "window_closed": manifest.window_closed,
            "lake": lake.place,
            "etag": published.etag,
            "sha256": published.sha256,
            "source_etag": landing.etag,
            "source_sha256": landing.sha256,
        },
        findings={
            "made_from_closed_window": None
            if manifest.window_closed
            else "made from a landing before its window closed: land the day again",
            "few_repeats": counted.repeats.too_many(landed, counted.duplicates),
            "repeats_agree_in_time": counted.repeats.differing(),
        },
    )
