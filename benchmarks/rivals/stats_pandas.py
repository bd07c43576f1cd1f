"""Stats per player by pandas, from S3 to S3, with the three columns alone and strings as Arrow keeps them."""

from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
from job import Job, measured

_KEY = ["event_id", "player_id", "event_type"]


def _prepare(job: Job) -> Callable[[], object]:
    pa.set_cpu_count(job.cores)
    s3 = pyarrow.fs.S3FileSystem(
        access_key=job.access_key_id,
        secret_key=job.secret_access_key,
        region=job.region,
        endpoint_override=job.host,
        scheme="http",
    )

    def work() -> None:
        objects = ds.dataset([f"{job.bucket}/{key}" for key in job.keys], filesystem=s3, format="parquet")
        # What is no longer needed goes at once: it is a matter of gigabytes.
        events = objects.to_table(columns=_KEY).to_pandas(
            types_mapper=pd.ArrowDtype, self_destruct=True, split_blocks=True
        )
        events = events.drop_duplicates(_KEY)[["player_id", "event_type"]]
        is_kill = (events["event_type"] == "KILL").astype("bool")
        counts = pd.DataFrame({"player_id": events["player_id"], "kills": is_kill, "deaths": ~is_kill})
        del events
        stats = counts.groupby("player_id", sort=True, as_index=False).sum()
        with s3.open_output_stream(f"{job.bucket}/{job.result}") as sink:
            pq.write_table(pa.Table.from_pandas(stats, preserve_index=False), sink, compression="zstd")

    return work


if __name__ == "__main__":
    measured(_prepare)
