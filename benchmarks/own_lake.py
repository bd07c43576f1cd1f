"""A job's bucket as the project sees it."""

from benchmarks.rivals.job import Job
from game_analytics.resources.lake import Lake, LakeSettings


def lake_of(job: Job) -> Lake:
    """Reached as the job says."""
    return Lake(
        LakeSettings(
            bucket=job.bucket,
            endpoint_url=job.endpoint_url,
            region_name=job.region,
            access_key_id=job.access_key_id,
            secret_access_key=job.secret_access_key,
        )
    )
