"""The whole graph on one screen."""

from functools import partial

import dagster as dg
from dagster_duckdb import DuckDBResource

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.freshness import freshness_checks, freshness_job
from game_analytics.defs.jobs import daily_stats_job, leaderboard_job, stats_job
from game_analytics.defs.resources import (
    AlertsResource,
    EventLogResource,
    LakeResource,
    PipelineSettings,
    alerts_resource,
    event_log_resource,
    lake_resource,
    pipeline_settings,
)
from game_analytics.defs.schedules import daily_stats_schedule, freshness_schedule
from game_analytics.defs.sensors.alert_on_checks import alert_on_checks
from game_analytics.defs.sensors.alert_on_failure import alert_on_failure
from game_analytics.defs.sensors.late_events import late_events
from game_analytics.defs.sensors.new_landing import new_landing
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.defs.source_links import with_source_links
from game_analytics.leaderboards.stats_file import DUCKDB_CONFIG
from game_analytics.settings import read_settings

WHERE = {
    raw_events: "raw/YYYY_MM_DD/",
    daily_player_stats: "events/YYYY_MM_DD_events.parquet",
    top10_leaderboard: "leaderboard/YYYY_MM_DD_top10.parquet",
}

DUCKDB = DuckDBResource(database=":memory:", connection_config=DUCKDB_CONFIG)

# A step is seconds of work: a process of its own would cost more than that. Runs are processes anyway.
# A step begins once those before it have yielded their output, even if one fails after that for some days of a range.
# So a failed check would not stop the steps behind it, were it blocking; none is.
EXECUTOR = dg.in_process_executor.configured(
    {"step_dependency_config": {"require_upstream_step_success": False}}, name="in_process"
)


def pipeline(
    event_log: EventLogResource,
    lake: LakeResource,
    settings: PipelineSettings,
    alerts: AlertsResource | None = None,
) -> dg.Definitions:
    """All definitions, on these resources: from the environment below, or the demo's and the tests' own."""
    stored = [
        asset.map_asset_specs(partial(_stored_at, uri=f"s3://{lake.bucket}/{key}")) for asset, key in WHERE.items()
    ]
    return dg.Definitions(
        assets=with_source_links(stored),
        asset_checks=freshness_checks,
        jobs=[daily_stats_job, stats_job, leaderboard_job, freshness_job],
        schedules=[daily_stats_schedule(settings.lateness), freshness_schedule(settings.lateness)],
        sensors=[new_landing, new_stats_file, late_events, alert_on_failure, alert_on_checks],
        resources={
            "event_log": event_log,
            "lake": lake,
            "settings": settings,
            "alerts": alerts or AlertsResource(),
            "duckdb": DUCKDB,
        },
        executor=EXECUTOR,
    )


def _stored_at(spec: dg.AssetSpec, uri: str) -> dg.AssetSpec:
    return spec.merge_attributes(metadata={"dagster/uri": uri})


# Reads the settings, and asks no server for anything.
_settings = read_settings()
defs = pipeline(
    event_log_resource(_settings), lake_resource(_settings), pipeline_settings(_settings), alerts_resource(_settings)
)
