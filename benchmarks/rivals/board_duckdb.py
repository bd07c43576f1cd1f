"""DuckDB reads the three columns of a stats file in S3, and does nothing else."""

from collections.abc import Callable

from duckdb_on_s3 import connected
from job import Job, measured


def _prepare(job: Job) -> Callable[[], object]:
    connection = connected(job)

    def work() -> list[object]:
        # Aggregates that must read every value; a count would be answered from the file's statistics.
        statement = "SELECT max(player_id), sum(kills), sum(deaths) FROM read_parquet($objects)"
        _, kills, deaths = connection.execute(statement, {"objects": job.uris}).fetchall()[0]
        return [int(kills), int(deaths)]

    return work


if __name__ == "__main__":
    measured(_prepare)
