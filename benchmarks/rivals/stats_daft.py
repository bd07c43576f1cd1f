"""Stats per player by Daft, from S3 to S3."""

from collections.abc import Callable

import daft
from daft import col
from daft.io import IOConfig, S3Config
from job import Job, measured


def _prepare(job: Job) -> Callable[[], object]:
    daft.set_runner_native(num_threads=job.cores)
    s3 = IOConfig(
        s3=S3Config(
            endpoint_url=job.endpoint_url,
            region_name=job.region,
            key_id=job.access_key_id,
            access_key=job.secret_access_key,
            use_ssl=False,
        )
    )

    def work() -> None:
        events = daft.read_parquet(job.uris, io_config=s3).select("event_id", "player_id", "event_type").distinct()
        kill = col("event_type") == "KILL"
        stats = (
            events.select("player_id", kill.cast(daft.DataType.int64()).alias("kill"))
            .groupby("player_id")
            .agg(col("kill").sum().alias("kills"), col("kill").count().alias("events"))
            .select("player_id", "kills", (col("events") - col("kills")).cast(daft.DataType.int64()).alias("deaths"))
            .sort("player_id")
        )
        stats.write_parquet(job.uri(job.result), compression="zstd", io_config=s3)

    return work


if __name__ == "__main__":
    measured(_prepare)
