"""Landing a whole day: window, reading, decoding, Parquet, upload, counts and commit.

``python -m benchmarks.landing WORKERS``
"""

import sys
from datetime import UTC, date, datetime, timedelta

from benchmarks.bench import lake_at
from benchmarks.measuring import Job, measure
from game_analytics.engines.local import LocalEngine
from game_analytics.landing.day import land_day
from game_analytics.landing.report import LandingOptions
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.sources.kafka.client import KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog

DAY = date(2025, 12, 30)


def main() -> None:
    """Land the topic's day into an empty bucket."""
    workers = int(sys.argv[1])
    measure(lambda job: _land(job, workers), children=workers - 1)


def _land(job: Job, workers: int) -> int:
    s3 = S3Endpoint(job.s3_url, job.s3_access_key_id, job.s3_secret_access_key, job.s3_region)
    lake = lake_at(s3, job.bucket)
    log = KafkaEventLog(KafkaSettings(job.bootstrap_servers, job.topic))
    options = LandingOptions(timedelta(hours=1), engine=LocalEngine(workers))
    landing = land_day(log, lake, DAY, options, clock=lambda: datetime.now(UTC))
    return sum(account.read for account in landing.manifest.partitions)


if __name__ == "__main__":
    main()
