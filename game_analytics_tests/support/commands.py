"""Runs commands as a user would, in an environment with a lake and no other settings."""

import os
import subprocess

from game_analytics.defs.resources import LakeResource
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.forked import COMMAND, run_python


def run_on(s3: S3Endpoint, lake: LakeResource, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `game-analytics` with these arguments and additional variables."""
    environment = {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "GAME_ANALYTICS_BUCKET": lake.bucket,
        **variables,
    }
    return run_python(COMMAND, *words, environment=environment)
