"""The whole graph on one screen, and the only place that reads environment variables."""

import os
from functools import partial

import dagster as dg
from dagster_aws.s3 import S3Resource
from dagster_duckdb import DuckDBResource

from game_analytics.cli.database import Database
from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.freshness import freshness_job
from game_analytics.defs.jobs import daily_stats_job, leaderboard_job, stats_job
from game_analytics.defs.resources import (
    MAX_LATENESS_MINUTES,
    AlertsResource,
    EventLogResource,
    KafkaEventLogResource,
    LakeResource,
    MemoryEventLogResource,
    PipelineSettings,
)
from game_analytics.defs.schedules import daily_stats_schedule, freshness_schedule
from game_analytics.defs.sensors.alerts import alert_on_checks, alert_on_failure
from game_analytics.defs.sensors.late_events import late_events
from game_analytics.defs.sensors.new_landing import new_landing
from game_analytics.defs.sensors.new_stats_file import new_stats_file
from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.client import VARIABLES, KafkaSettings

WHERE = {
    raw_events: "raw/YYYY_MM_DD/",
    daily_player_stats: "events/YYYY_MM_DD_events.parquet",
    top10_leaderboard: "leaderboard/YYYY_MM_DD_top10.parquet",
}

WEBHOOK = "GAME_ANALYTICS_ALERT_WEBHOOK"

# It reads files of this machine, and needs no extension for that: none is downloaded at run time.
DUCKDB = DuckDBResource(
    database=":memory:",
    connection_config={"autoinstall_known_extensions": False, "autoload_known_extensions": False},
)

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
    return dg.Definitions(
        assets=[
            asset.map_asset_specs(partial(_stored_at, uri=f"s3://{lake.bucket}/{key}")) for asset, key in WHERE.items()
        ],
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


def lake_from_environment() -> LakeResource:
    """The lake that the environment names. What is not set here, the AWS SDK's own default chain finds out."""
    return LakeResource(
        bucket=os.environ.get("GAME_ANALYTICS_BUCKET") or "game-analytics",
        s3=S3Resource(
            # boto3 reads AWS_DEFAULT_REGION by itself, but not the AWS_REGION that AWS's own services set.
            region_name=os.environ.get("AWS_REGION") or None,
            max_attempts=3,
        ),
    )


def settings_from_environment() -> PipelineSettings:
    return PipelineSettings(
        lateness_minutes=_whole_number("GAME_ANALYTICS_LATENESS_MINUTES", unset=60, at_most=MAX_LATENESS_MINUTES),
        min_engagements=_whole_number("GAME_ANALYTICS_MIN_ENGAGEMENTS", unset=0, at_most=2**31),
        workers=_whole_number("GAME_ANALYTICS_WORKERS", unset=0, at_most=1_000),
        slice_messages=_whole_number("GAME_ANALYTICS_SLICE_MESSAGES", unset=250_000, at_least=1_000, at_most=2_000_000),
        volume_percent=_whole_number("GAME_ANALYTICS_VOLUME_PERCENT", unset=50, at_most=1_000_000),
        quarantine_percent=_whole_number("GAME_ANALYTICS_QUARANTINE_PERCENT", unset=1, at_most=100),
        simulate_anywhere=_is_allowed("GAME_ANALYTICS_SIMULATION"),
    )


def event_log_from_environment() -> EventLogResource:
    """The Kafka topic that the environment names, or simulated matches where it names no cluster."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "").strip()
    topic = os.environ.get("KAFKA_TOPIC", "").strip()
    config_file = os.environ.get("KAFKA_CONFIG_FILE", "").strip()
    if not servers:
        if topic or config_file:
            raise GameAnalyticsError(
                "KAFKA_TOPIC or KAFKA_CONFIG_FILE is set, but KAFKA_BOOTSTRAP_SERVERS is not. Set it to read that "
                "topic, or unset the others for simulated matches."
            )
        return MemoryEventLogResource()
    topic = topic or "game-events"
    KafkaSettings(servers, topic).ensure_well_formed(VARIABLES)
    return KafkaEventLogResource(
        bootstrap_servers=servers,
        topic=topic,
        config_file=config_file or None,
        patience_seconds=_whole_number("GAME_ANALYTICS_KAFKA_PATIENCE_SECONDS", unset=120, at_least=1, at_most=86_400),
    )


def database_from_environment() -> Database | None:
    """Where Dagster keeps its history if that is a PostgreSQL server, named as for its official image."""
    host = os.environ.get("POSTGRES_HOST", "").strip()
    if not host:
        return None
    user = os.environ.get("POSTGRES_USER") or "postgres"
    return Database(
        host=host,
        port=_whole_number("POSTGRES_PORT", unset=5432, at_least=1, at_most=65_535),
        name=os.environ.get("POSTGRES_DB") or user,
        user=user,
        password=os.environ.get("POSTGRES_PASSWORD", ""),
    )


def alerts_from_environment() -> AlertsResource:
    """Where people are told what went wrong. The webhook's address is named and not read: the UI shows what it is."""
    return AlertsResource(
        webhook=dg.EnvVar(WEBHOOK) if os.environ.get(WEBHOOK, "").strip() else None,
        ui_url=os.environ.get("GAME_ANALYTICS_UI_URL", "").strip() or "http://127.0.0.1:3000",
    )


def _whole_number(name: str, unset: int, at_most: int, at_least: int = 0) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return unset
    if not (text.isascii() and text.isdigit() and len(text) < 20 and at_least <= int(text) <= at_most):
        raise GameAnalyticsError(f"{name} is {text!r}; a whole number from {at_least:,} to {at_most:,} is expected.")
    return int(text)


def _is_allowed(name: str) -> bool:
    text = os.environ.get(name, "").strip()
    if text not in {"", "allow"}:
        raise GameAnalyticsError(f"{name} is {text!r}; `allow` or nothing is expected.")
    return text == "allow"


# Reads the settings and asks no server for anything.
defs = pipeline(
    event_log_from_environment(), lake_from_environment(), settings_from_environment(), alerts_from_environment()
)
