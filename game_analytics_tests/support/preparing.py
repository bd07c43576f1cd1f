"""Runs `game-analytics prepare` in the test's process, with only the test's settings."""

import os
from collections.abc import Mapping
from io import StringIO

import pytest
from rich.console import Console

from game_analytics.cli.prepare import prepare
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.environment import without_settings


def lake_settings(s3: S3Endpoint, bucket: str) -> dict[str, str]:
    """The variables that name a bucket on this server."""
    return {
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "GAME_ANALYTICS_BUCKET": bucket,
    }


def prepared(settings: Mapping[str, str], *, partitions: int = 4, wait_seconds: int = 0) -> list[str]:
    """The lines that it prints."""
    output = StringIO()
    prepare_printing(output, settings, partitions=partitions, wait_seconds=wait_seconds)
    return output.getvalue().splitlines()


def prepare_printing(
    output: StringIO, settings: Mapping[str, str], *, partitions: int = 4, wait_seconds: int = 0
) -> None:
    """The same for a call that may fail; its lines are added to ``output``."""
    alone = {name: value for name, value in without_settings(os.environ).items() if not name.startswith("POSTGRES_")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", alone | dict(settings))
        prepare(Console(file=output, width=40), partitions=partitions, wait_seconds=wait_seconds)
