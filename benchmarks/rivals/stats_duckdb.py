"""Stats per player by DuckDB, from S3 to S3, in one statement."""

from collections.abc import Callable

from duckdb_on_s3 import connected
from job import Job, measured


def _prepare(job: Job) -> Callable[[], object]:
    connection = connected(job)
    statement = f"""
        COPY (
            SELECT player_id,
                   count(*) FILTER (event_type = 'KILL') AS kills,
                   count(*) FILTER (event_type = 'DEATH') AS deaths
            FROM (SELECT DISTINCT event_id, player_id, event_type FROM read_parquet($objects))
            GROUP BY player_id
            ORDER BY player_id
        ) TO '{job.uri(job.result)}' (FORMAT parquet, COMPRESSION zstd)
    """  # noqa: S608 - a name of ours, where no parameter can stand

    def work() -> None:
        connection.execute(statement, {"objects": job.uris})

    return work


if __name__ == "__main__":
    measured(_prepare)
