"""The original sketch's second DAG, as it stands there, on Airflow 3.

Mended: the import of the sensor, which lives in the provider package; the date format, which is now that of the
sketch's own bucket listing (2025_12_30); address, credentials and bucket are those of the S3 server at hand, by the
SDK's variables and the connection `aws_localstack`, and not `localstack:4566`; files between two steps lie in the
temporary folder that the environment names. What the sketch gets wrong about ratios and ties stays wrong.
"""

import os
import tempfile
from datetime import datetime
from urllib.parse import urlsplit

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import dag, task

BUCKET = os.environ["GAME_ANALYTICS_BUCKET"]


@dag(
    dag_id="game_leaderboard",
    start_date=datetime(2024, 1, 1),  # noqa: DTZ001 - as in the sketch
    schedule=None,  # Triggered by sensor
    catchup=False,
    tags=["game", "consumer"],
)
def game_leaderboard():
    wait_for_file = S3KeySensor(
        task_id="wait_for_events",
        bucket_name=BUCKET,
        bucket_key="events/{{ ds.replace('-', '_') }}_events.parquet",
        aws_conn_id="aws_localstack",
    )

    @task
    def query_top_10(date_str: str) -> str:
        import duckdb  # noqa: PLC0415

        conn = duckdb.connect(":memory:")
        # The extension lies in the user's home already: nothing is downloaded.
        conn.execute("INSTALL httpfs; LOAD httpfs;")
        endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
        key_id, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        conn.execute(f"SET s3_endpoint='{endpoint}'; SET s3_use_ssl=false;")
        conn.execute(f"SET s3_access_key_id='{key_id}'; SET s3_secret_access_key='{secret}'; SET s3_url_style='path';")

        result = conn.execute(f"""
            SELECT player_id, kills, deaths,
                   kills::float / deaths as kd_ratio
            FROM read_parquet('s3://{BUCKET}/events/{date_str}_events.parquet')
            ORDER BY kd_ratio DESC
            LIMIT 10
        """).fetchdf()  # noqa: S608 - as in the sketch

        # Write results
        out_path = f"{tempfile.gettempdir()}/{date_str}_top10.parquet"
        result.to_parquet(out_path)
        return out_path

    @task
    def upload_results(local_path: str, date_str: str):
        import boto3  # noqa: PLC0415

        s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        s3.upload_file(local_path, BUCKET, f"leaderboard/{date_str}_top10.parquet")

    date_str = "{{ ds.replace('-', '_') }}"
    path = query_top_10(date_str)
    wait_for_file >> path
    upload_results(path, date_str)


game_leaderboard()
