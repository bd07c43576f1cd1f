"""The event log, the lake and the pipeline's settings as Dagster configures them; what they do stands elsewhere,
without Dagster."""

from abc import ABC, abstractmethod

import boto3
import dagster as dg
from botocore.config import Config
from dagster_aws.s3 import S3Resource
from pydantic import Field

from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake
from game_analytics.resources.s3_errors import readable_s3_errors


class EventLogResource(dg.ConfigurableResource, ABC):
    """Where events come from. Each source of events has one of these."""

    @abstractmethod
    def open(self) -> EventLog:
        """The log, ready to be read."""


class LakeResource(S3Resource):
    """Where the lake is: all that `S3Resource` takes, and the bucket. What is not given, the AWS SDK finds out."""

    bucket: str = Field(description="The bucket that holds all of the lake.")
    max_attempts: int = Field(default=3, description="How often a request is made before S3 counts as unavailable.")

    def open(self) -> Lake:
        """The lake, once S3 has shown that it answers, that the bucket exists and that it may be read.

        Raises `GameAnalyticsError` (or `Unavailable`) saying which of these does not hold and what to do.
        """
        with readable_s3_errors(self.bucket, self.endpoint_url):
            session = boto3.Session(
                aws_access_key_id=self.aws_access_key_id,
                aws_secret_access_key=self.aws_secret_access_key,
                aws_session_token=self.aws_session_token,
                region_name=self.region_name,
                profile_name=self.profile_name,
            )
            client = session.client(
                "s3",
                endpoint_url=self.endpoint_url,
                use_ssl=self.use_ssl,
                verify=self.verify,
                config=Config(
                    connect_timeout=5,
                    read_timeout=60,
                    retries={"mode": "standard", "total_max_attempts": self.max_attempts},
                ),
            )
        lake = Lake(session, client, self.bucket)
        lake.ensure_reachable()
        return lake


class PipelineSettings(dg.ConfigurableResource):
    """What an operator decides about the pipeline as a whole."""

    lateness_minutes: int = Field(
        default=60, ge=0, description="How long after its day an event may arrive and still be read with the day."
    )
    min_engagements: int = Field(
        default=0, ge=0, description="Kills plus deaths that a player needs to be ranked, unless a run says otherwise."
    )
    simulate_anywhere: bool = Field(
        default=False, description="Write simulated events also to an S3 that is not on this machine."
    )
