"""The original sketch's first DAG, as it stands there, on Airflow 3.

Mended: the date format, which is now that of the sketch's own bucket listing (2025_12_30); address, credentials and
bucket are those of the S3 server at hand, by the SDK's variables, and not `localstack:4566`; files between two steps
lie in the temporary folder that the environment names. And the fake Kafka's list of events is read from a file where
the sketch writes it out: the day's messages, without those that cannot be read, of which the sketch would die. That
favours the sketch: it gets them with no broker in between.
"""

import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

from airflow.sdk import dag, task

BUCKET = os.environ["GAME_ANALYTICS_BUCKET"]


@dag(
    dag_id="game_event_producer",
    start_date=datetime(2024, 1, 1),  # noqa: DTZ001 - as in the sketch
    schedule="@daily",
    catchup=False,
    tags=["game", "producer"],
)
def game_event_producer():
    @task
    def consume_events() -> list[dict]:
        return json.loads(Path(os.environ["SKETCH_EVENTS"]).read_bytes())

    @task
    def aggregate_to_parquet(events: list[dict], date_str: str) -> str:
        import boto3  # noqa: PLC0415
        import polars as pl  # noqa: PLC0415

        df = pl.DataFrame(events)
        stats = df.group_by("player_id").agg(
            [
                (pl.col("event_type") == "KILL").sum().alias("kills"),
                (pl.col("event_type") == "DEATH").sum().alias("deaths"),
            ]
        )

        # Write to S3
        path = f"{tempfile.gettempdir()}/{date_str}_events.parquet"
        stats.write_parquet(path)

        s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        s3.upload_file(path, BUCKET, f"events/{date_str}_events.parquet")
        return f"s3://{BUCKET}/events/{date_str}_events.parquet"

    date_str = "{{ ds.replace('-', '_') }}"  # e.g., 2025_12_30
    events = consume_events()
    aggregate_to_parquet(events, date_str)


game_event_producer()
