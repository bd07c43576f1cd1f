"""`top10_leaderboard`: the day's ten best players by kill/death ratio, by DuckDB."""

from datetime import date

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import Field

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.days import DayReport, Results, materialize_days, readable_failures
from game_analytics.defs.metadata import column_schema, markdown
from game_analytics.defs.partitions import daily
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake
from game_analytics.leaderboards.top10 import TOP10, PublishedBoard, publish_board

SOURCE_ETAG = "source_etag"
"""In the metadata of materializations: the ETag of the stats file that the board was made from."""


class RankingConfig(dg.Config):
    """Run config."""

    min_engagements: int | None = Field(
        default=None,
        ge=0,
        description="Kills plus deaths that a player needs to be ranked. Unset: the setting.",
    )


@dg.asset(
    deps=[daily_player_stats],
    partitions_def=daily,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="leaderboard",
    owners=["team:game-analytics"],
    kinds={"duckdb", "s3", "parquet"},
    tags={"domain": "game-analytics", "layer": "leaderboard"},
    metadata={
        "dagster/column_schema": column_schema(TOP10.schema, TOP10.descriptions),
        "grain": "one row per ranked player, at most ten, sorted by rank",
        "rebuild": "whole, from the day's stats file, whichever program wrote it",
    },
    check_specs=[
        dg.AssetCheckSpec("somebody_is_ranked", asset="top10_leaderboard", description="The board is not empty."),
    ],
)
def top10_leaderboard(
    context: dg.AssetExecutionContext,
    config: RankingConfig,
    lake: LakeResource,
    duckdb: DuckDBResource,
    settings: PipelineSettings,
) -> Results:
    """The ten best players of the UTC day by kill/death ratio: `leaderboard/YYYY_MM_DD_top10.parquet`.

    A player who never died is ranked by kills; ties go to more kills, then fewer deaths, then the smaller `player_id`.
    """
    min_engagements = settings.min_engagements if config.min_engagements is None else config.min_engagements
    with readable_failures():
        opened = lake.open()
    with duckdb.get_connection() as connection:

        def publish(day: date) -> DayReport:
            return report(publish_board(opened, connection, day, min_engagements), opened, day, min_engagements)

        yield from materialize_days(context, publish)


def report(published: PublishedBoard, lake: Lake, day: date, min_engagements: int) -> DayReport:
    """Metadata and check findings of the day's materialization."""
    return DayReport(
        metadata={
            "dagster/row_count": published.rows.height,
            "dagster/uri": lake.uri(TOP10.key(day)),
            "board": markdown(TOP10.table(published.rows)),
            "rule": TOP10.rule,
            "rule_version": TOP10.rule_version,
            "min_engagements": min_engagements,
            "lake": lake.place,
            "etag": published.etag,
            "sha256": published.sha256,
            SOURCE_ETAG: published.stats.etag,
            "source_sha256": published.stats.sha256,
        },
        findings={"somebody_is_ranked": None if published.rows.height else "the board is empty"},
    )
