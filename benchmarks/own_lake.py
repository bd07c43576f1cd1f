"""A bucket on one of the benchmark's S3 servers as the project sees it."""

from benchmarks.rivals.job import Job
from game_analytics.lake.bucket import Lake, LakeSettings
from game_analytics.local_stack.endpoint import S3Endpoint


def lake_at(s3: S3Endpoint, bucket: str) -> Lake:
    """On this server."""
    return Lake(LakeSettings(bucket, s3.url, s3.region, s3.access_key_id, s3.secret_access_key))


def lake_of(job: Job) -> Lake:
    """Reached as the job says."""
    return lake_at(S3Endpoint(job.endpoint_url, job.access_key_id, job.secret_access_key, job.region), job.bucket)
