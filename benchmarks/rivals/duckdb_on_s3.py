"""A DuckDB connection that reads and writes S3, as its documentation sets one up, with its extension from a package."""

from pathlib import Path

import duckdb
import duckdb_extension_httpfs
from job import Job

_EXTENSION = (
    Path(duckdb_extension_httpfs.__file__).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
)


def connected(job: Job) -> duckdb.DuckDBPyConnection:
    """An in-memory database that need not preserve the order of rows, as DuckDB's performance guide advises."""
    connection = duckdb.connect()
    connection.load_extension(str(_EXTENSION))
    connection.execute(f"SET threads = {job.cores}")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET temp_directory = $folder", {"folder": job.folder})
    connection.execute(
        "CREATE TEMPORARY SECRET (TYPE s3, PROVIDER config, KEY_ID $key_id, SECRET $secret, REGION $region, "
        "ENDPOINT $endpoint, USE_SSL false, URL_STYLE 'path')",
        {
            "key_id": job.access_key_id,
            "secret": job.secret_access_key,
            "region": job.region,
            "endpoint": job.host,
        },
    )
    return connection
