"""Dagster resources for the event log, the lake, alerts and settings. They only configure: the work is done by modules
that don't import Dagster."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from logging import Logger
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from game_analytics.lake.bucket import Lake, LakeSettings
from game_analytics.landing.slices import Reading
from game_analytics.rules.vocabulary import type_names
from game_analytics.settings import (
    LATENESS_MINUTES,
    MIN_ENGAGEMENTS,
    PATIENCE_SECONDS,
    QUARANTINE_PERCENT,
    SLICE_MESSAGES,
    TOPIC,
    UI_URL,
    VOLUME_PERCENT,
    WEBHOOK,
    WORKERS,
    LatenessMinutes,
    MinEngagements,
    PatienceSeconds,
    QuarantinePercent,
    Settings,
    SliceMessages,
    VolumePercent,
    Workers,
)
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.schedule import Simulation
from game_analytics.sources.event_log import EventLog
from game_analytics.sources.formats.format import Format
from game_analytics.sources.formats.json import JSON
from game_analytics.sources.formats.registry import RegistryFormat, RegistrySettings
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog


class EventLogResource(dg.ConfigurableResource, ABC):
    """Where events come from; one subclass per source."""

    @abstractmethod
    def open(self) -> EventLog:
        """The log, ready to be read. Raises `GameAnalyticsError` if it is not."""


class MemoryEventLogResource(EventLogResource):
    """Simulated matches instead of a Kafka topic. The same settings give the same messages."""

    seed: int = Field(default=Simulation.seed, description="Another seed gives other players, matches and faults.")
    events_per_day: int = Field(
        default=Simulation.events_per_day, description="Messages per day, over all partitions and of every kind."
    )
    partitions: int = Field(
        default=Simulation.partitions, description="Partitions of the topic; each player is in one of them."
    )
    malformed_share: float = Field(
        default=Simulation.malformed_share, description="Share of messages that cannot be read."
    )
    repeated_share: float = Field(
        default=Simulation.repeated_share, description="Share of messages that are delivered twice."
    )
    late_share: float = Field(
        default=Simulation.late_share,
        description="Share of messages that arrive minutes to hours late, or carry a time ahead of the real one.",
    )

    def open(self) -> EventLog:
        """The log with these settings, up to the current time."""
        return MemoryEventLog(
            Simulation(
                seed=self.seed,
                events_per_day=self.events_per_day,
                partitions=self.partitions,
                malformed_share=self.malformed_share,
                repeated_share=self.repeated_share,
                late_share=self.late_share,
            )
        )


class KafkaEventLogResource(EventLogResource):
    """A Kafka topic. Passwords are not part of the config: they stay in ``config_file``, which each run reads."""

    bootstrap_servers: str = Field(description="The cluster's bootstrap servers, `host:port`, separated by commas.")
    topic: str = Field(default=TOPIC, description="The topic that holds the events.")
    config_file: str | None = Field(
        default=None, description="A file with further librdkafka properties, `name=value` lines: SASL, TLS, sizes."
    )
    patience_seconds: PatienceSeconds = PATIENCE_SECONDS

    def open(self) -> EventLog:
        """The topic, after a check that the cluster answers and that this user may read the topic.

        Raises `GameAnalyticsError` or `Unavailable` within 15 seconds.
        """
        log = KafkaEventLog(self.settings())
        log.ensure_readable()
        return log

    def settings(self) -> KafkaSettings:
        """Client settings, including the properties of ``config_file``.

        Raises `GameAnalyticsError` if servers, topic or file are invalid.
        """
        return KafkaSettings.read(
            self.bootstrap_servers,
            self.topic,
            None if self.config_file is None else Path(self.config_file),
            timedelta(seconds=self.patience_seconds),
        )


class LakeResource(dg.ConfigurableResource):
    """The lake: a bucket, and how S3 is reached. What is not set comes from the AWS SDK's default chain."""

    bucket: str = Field(description="The bucket that holds the lake.")
    s3: S3Resource = Field(description="How S3 is reached; by default as the AWS SDK is configured.")
    _opened: Lake | None = PrivateAttr(default=None)

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """Shows the bucket only: ``s3`` may hold credentials."""
        yield "bucket", self.bucket

    def open(self) -> Lake:
        """The lake, after a check that S3 answers and that the bucket exists and may be read.

        Opened once per resource. Dagster creates a resource for each run and each tick, so each of them resolves
        credentials once. Raises `GameAnalyticsError` or `Unavailable`.
        """
        if self._opened is None:
            self._opened = Lake.open(self.settings())
        return self._opened

    def settings(self) -> LakeSettings:
        """Client settings."""
        return LakeSettings(
            bucket=self.bucket,
            endpoint_url=self.s3.endpoint_url,
            region_name=self.s3.region_name,
            access_key_id=self.s3.aws_access_key_id,
            secret_access_key=self.s3.aws_secret_access_key,
            session_token=self.s3.aws_session_token,
            profile_name=self.s3.profile_name,
            use_ssl=self.s3.use_ssl,
            verify=self.s3.verify,
            max_attempts=self.s3.max_attempts,
        )


class AlertsResource(dg.ConfigurableResource):
    """Where alerts are posted, if a webhook is set."""

    webhook: str | None = Field(
        default=None, repr=False, description="URL of a webhook that accepts Slack's format. It is a secret."
    )
    ui_url: str = Field(default=UI_URL, description="URL of the Dagster UI, for links in alerts.")

    def post(self, log: Logger, text: str, run_id: str | None = None) -> None:
        """Post the text, with a link to the run. If that fails, log a warning; nothing is raised."""
        if self.webhook is None:
            return
        # Imported here: `requests` would be a twentieth of the import time of every command.
        from game_analytics.defs.webhook import Webhook  # noqa: PLC0415

        link = "" if run_id is None else f"\n{self.ui_url.rstrip('/')}/runs/{run_id}"
        problem = Webhook(self.webhook.strip()).post(text, link)  # files with secrets end with a newline
        if problem is not None:
            log.warning(f"An alert was not delivered, {problem}. It said: {text}")


class PipelineSettings(dg.ConfigurableResource):
    """Settings of the pipeline as a whole."""

    lateness_minutes: LatenessMinutes = LATENESS_MINUTES
    min_engagements: MinEngagements = MIN_ENGAGEMENTS
    workers: Workers = WORKERS
    slice_messages: SliceMessages = SLICE_MESSAGES
    volume_percent: VolumePercent = VOLUME_PERCENT
    quarantine_percent: QuarantinePercent = QUARANTINE_PERCENT
    kill_types: list[str] = Field(default=[], description="Names of event types that count as `KILL`, besides that.")
    death_types: list[str] = Field(default=[], description="Names of event types that count as `DEATH`, besides that.")
    schema_registry_url: str | None = Field(
        default=None,
        description="The Schema Registry that knows the schemas of messages in Avro, Protobuf or JSON Schema; without "
        "one, messages are JSON.",
    )
    schema_registry_config_file: str | None = Field(
        default=None, description="A file with properties of the registry's client: credentials, TLS."
    )
    simulate_anywhere: bool = Field(
        default=False, description="Allow writing simulated events to an S3 server that is not on this machine."
    )

    @property
    def reading(self) -> Reading:
        """How messages are read, when they are landed and when the quarantine is read again. Raises
        `GameAnalyticsError` if the registry's file can't be read."""
        return Reading(self._format(), type_names(self.kill_types, self.death_types))

    def _format(self) -> Format:
        if self.schema_registry_url is None:
            return JSON
        file = self.schema_registry_config_file
        return RegistryFormat(RegistrySettings.read(self.schema_registry_url, None if file is None else Path(file)))

    @property
    def lateness(self) -> timedelta:
        return timedelta(minutes=self.lateness_minutes)


def event_log_resource(settings: Settings) -> EventLogResource:
    """The Kafka topic that the settings name, or simulated matches where they name no cluster."""
    if settings.kafka_bootstrap_servers is None:
        return MemoryEventLogResource()
    return KafkaEventLogResource(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic or TOPIC,
        config_file=None if settings.kafka_config_file is None else str(settings.kafka_config_file),
        patience_seconds=settings.kafka_patience_seconds,
    )


def lake_resource(settings: Settings) -> LakeResource:
    """The lake that the settings name. What they leave unset comes from the AWS SDK's default chain."""
    lake = settings.lake
    return LakeResource(bucket=lake.bucket, s3=S3Resource(region_name=lake.region_name, max_attempts=lake.max_attempts))


def alerts_resource(settings: Settings) -> AlertsResource:
    """Where alerts go. The webhook is passed as a variable's name, since the UI shows the config of resources."""
    return AlertsResource(webhook=dg.EnvVar(WEBHOOK) if settings.alert_webhook else None, ui_url=settings.ui_url)


def pipeline_settings(settings: Settings) -> PipelineSettings:
    """The settings of the pipeline as a whole."""
    return PipelineSettings(
        lateness_minutes=settings.lateness_minutes,
        min_engagements=settings.min_engagements,
        workers=settings.workers,
        slice_messages=settings.slice_messages,
        volume_percent=settings.volume_percent,
        quarantine_percent=settings.quarantine_percent,
        kill_types=list(settings.kill_types),
        death_types=list(settings.death_types),
        schema_registry_url=settings.schema_registry_url if settings.event_format == "registry" else None,
        schema_registry_config_file=(
            None if settings.schema_registry_config_file is None else str(settings.schema_registry_config_file)
        ),
        simulate_anywhere=settings.simulation == "allow",
    )
