"""The event log, the lake and the pipeline's settings as Dagster configures them; what they do stands elsewhere,
without Dagster."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from logging import Logger
from pathlib import Path

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from game_analytics.lake.bucket import Lake, LakeSettings
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
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog


class EventLogResource(dg.ConfigurableResource, ABC):
    """Where events come from. Each source of events has one of these."""

    @abstractmethod
    def open(self) -> EventLog:
        """The log, ready to be read."""


class MemoryEventLogResource(EventLogResource):
    """Simulated matches instead of a Kafka topic, the same for everyone who has the same settings."""

    seed: int = Field(default=Simulation.seed, description="Other seeds are other players, matches and trouble.")
    events_per_day: int = Field(
        default=Simulation.events_per_day, description="Messages a day, in all partitions and of every kind."
    )
    partitions: int = Field(
        default=Simulation.partitions, description="Partitions of the topic; players are dealt to them."
    )
    malformed_share: float = Field(
        default=Simulation.malformed_share, description="Messages that cannot be read, of all messages."
    )
    repeated_share: float = Field(
        default=Simulation.repeated_share, description="Messages that are delivered once more, of all messages."
    )
    late_share: float = Field(
        default=Simulation.late_share,
        description="Messages that come minutes to hours late or from a clock that is ahead, of all messages.",
    )

    def open(self) -> EventLog:
        """The log of these settings, up to the real now."""
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
    """A Kafka topic. Passwords stay in the file that is named here, which is read when a run opens the log."""

    bootstrap_servers: str = Field(description="Where the cluster is first asked: `host:port`, by commas.")
    topic: str = Field(default=TOPIC, description="The one topic that holds the events.")
    config_file: str | None = Field(
        default=None, description="A file of further librdkafka properties, `name=value` lines: SASL, TLS, sizes."
    )
    patience_seconds: PatienceSeconds = PATIENCE_SECONDS

    def open(self) -> EventLog:
        """The topic, once the cluster has shown that it answers and that the topic is there for this user.

        Raises `GameAnalyticsError` (or `Unavailable`) within 15 seconds, saying what does not hold and what to do.
        """
        log = KafkaEventLog(self.settings())
        log.ensure_readable()
        return log

    def settings(self) -> KafkaSettings:
        """All that a client needs, the file's properties included.

        Raises `GameAnalyticsError` if servers, topic or file are not what a client expects.
        """
        return KafkaSettings.read(
            self.bootstrap_servers,
            self.topic,
            None if self.config_file is None else Path(self.config_file),
            timedelta(seconds=self.patience_seconds),
        )


class LakeResource(dg.ConfigurableResource):
    """Where the lake is: a bucket, and how S3 is reached. What is not given, the AWS SDK finds out."""

    bucket: str = Field(description="The bucket that holds all of the lake.")
    s3: S3Resource = Field(description="How S3 is reached; by default as the AWS SDK is configured.")
    _opened: Lake | None = PrivateAttr(default=None)

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """The bucket alone is shown: credentials may have been given to the other."""
        yield "bucket", self.bucket

    def open(self) -> Lake:
        """The lake, once S3 has shown that it answers, that the bucket exists and that it may be read. Asked again, the
        same: Dagster makes a resource for each run and each tick, so each of them asks for credentials anew, and once.

        Raises `GameAnalyticsError` (or `Unavailable`) saying which of these does not hold and what to do.
        """
        if self._opened is None:
            self._opened = Lake.open(self.settings())
        return self._opened

    def settings(self) -> LakeSettings:
        """All that a client needs."""
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
    """Where people are told what went wrong, if anywhere."""

    webhook: str | None = Field(
        default=None, repr=False, description="A URL that takes Slack's messages. It is a secret."
    )
    ui_url: str = Field(default=UI_URL, description="Where people reach the Dagster UI.")

    def post(self, log: Logger, text: str, run_id: str | None = None) -> None:
        """Tell people, with a link to the run. What can't be delivered is a warning in ``log`` and no more."""
        if self.webhook is None:
            return
        # Not at the top: it brings `requests`, which would be a twentieth of what every command has to import.
        from game_analytics.defs.webhook import Webhook  # noqa: PLC0415

        link = "" if run_id is None else f"\n{self.ui_url.rstrip('/')}/runs/{run_id}"
        problem = Webhook(self.webhook.strip()).post(text, link)  # files of secrets end with a new line
        if problem is not None:
            log.warning(f"An alert was not delivered, {problem}. It said: {text}")


class PipelineSettings(dg.ConfigurableResource):
    """What an operator decides about the pipeline as a whole."""

    lateness_minutes: LatenessMinutes = LATENESS_MINUTES
    min_engagements: MinEngagements = MIN_ENGAGEMENTS
    workers: Workers = WORKERS
    slice_messages: SliceMessages = SLICE_MESSAGES
    volume_percent: VolumePercent = VOLUME_PERCENT
    quarantine_percent: QuarantinePercent = QUARANTINE_PERCENT
    simulate_anywhere: bool = Field(
        default=False, description="Write simulated events also to an S3 that is not on this machine."
    )

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
    """The lake that the settings name. What they leave open, the AWS SDK's own default chain finds out."""
    lake = settings.lake
    return LakeResource(bucket=lake.bucket, s3=S3Resource(region_name=lake.region_name, max_attempts=lake.max_attempts))


def alerts_resource(settings: Settings) -> AlertsResource:
    """Where alerts go. The webhook's address is named and not read: the UI shows what a resource holds."""
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
        simulate_anywhere=settings.simulation == "allow",
    )
