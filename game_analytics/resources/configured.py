"""The event log, the lake and the pipeline's settings as Dagster configures them; what they do stands elsewhere,
without Dagster."""

from abc import ABC, abstractmethod
from functools import cache

import boto3
import botocore.loaders
import botocore.session
import dagster as dg
from botocore.config import Config
from dagster_aws.s3 import S3Resource
from pydantic import Field

from game_analytics.resources.event_log import EventLog
from game_analytics.resources.lake import Lake
from game_analytics.resources.s3_errors import readable_s3_errors

MAX_LATENESS_MINUTES = 5 * 24 * 60
"""The schedule looks back seven days; a window must close well within them."""


class EventLogResource(dg.ConfigurableResource, ABC):
    """Where events come from. Each source of events has one of these."""

    @abstractmethod
    def open(self) -> EventLog:
        """The log, ready to be read."""


class LakeResource(dg.ConfigurableResource):
    """Where the lake is: a bucket, and how S3 is reached. What is not given, the AWS SDK finds out."""

    bucket: str = Field(description="The bucket that holds all of the lake.")
    s3: S3Resource = Field(description="How S3 is reached; by default as the AWS SDK is configured.")

    def open(self) -> Lake:
        """The lake, once S3 has shown that it answers, that the bucket exists and that it may be read.

        Raises `GameAnalyticsError` (or `Unavailable`) saying which of these does not hold and what to do.
        """
        with readable_s3_errors(self.bucket, self.s3.endpoint_url):
            session = self._session()
            client = session.client(
                "s3",
                endpoint_url=self.s3.endpoint_url,
                use_ssl=self.s3.use_ssl,
                verify=self.s3.verify,
                config=Config(
                    # So that three attempts fit into the minute that the daemon gives a sensor's tick.
                    connect_timeout=5,
                    read_timeout=12,
                    retries={"mode": "standard", "total_max_attempts": self.s3.max_attempts},
                ),
            )
        lake = Lake(session, client, self.bucket)
        lake.ensure_reachable()
        return lake

    def _session(self) -> boto3.Session:
        """A new session at each run, because credentials expire. `S3Resource.get_client` would keep its own to itself,
        but Polars and DuckDB need the same credentials."""
        botocore_session = botocore.session.Session()
        botocore_session.register_component("data_loader", _api_descriptions())
        return boto3.Session(
            botocore_session=botocore_session,
            aws_access_key_id=self.s3.aws_access_key_id,
            aws_secret_access_key=self.s3.aws_secret_access_key,
            aws_session_token=self.s3.aws_session_token,
            region_name=self.s3.region_name,
            profile_name=self.s3.profile_name,
        )


@cache
def _api_descriptions() -> botocore.loaders.Loader:
    """What botocore knows of AWS's APIs: a quarter of a second to read, and the same for every session."""
    return botocore.loaders.create_loader()


class PipelineSettings(dg.ConfigurableResource):
    """What an operator decides about the pipeline as a whole."""

    lateness_minutes: int = Field(
        default=60,
        ge=0,
        le=MAX_LATENESS_MINUTES,
        description="How long after its day an event may arrive and still be read with the day.",
    )
    min_engagements: int = Field(
        default=0, ge=0, description="Kills plus deaths that a player needs to be ranked, unless a run says otherwise."
    )
    simulate_anywhere: bool = Field(
        default=False, description="Write simulated events also to an S3 that is not on this machine."
    )
