"""Runs left unfinished by an earlier `dev` that was killed, or whose machine went down."""

from pathlib import Path

_CODE_SERVER_TAG = ".dagster/grpc_info"
"""The tag with which Dagster records the code server that started a run."""

_ABANDONED = "The stack that ran it ended before it did. Launch it again."


def close_abandoned_runs(dagster_home: Path) -> int:
    """Mark the abandoned runs as failed, and return how many there were. Only call it while no stack uses this history.

    Otherwise they would stay in progress for good, and the sensors wait for runs in progress.
    """
    if not (dagster_home / "history").exists():
        return 0
    # Importing Dagster takes 1.5 s, which a first start can do without.
    import dagster as dg  # noqa: PLC0415

    running = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=running))
        # Runs without the tag are `dagster asset materialize` in a shell, and may still be alive.
        abandoned = [run for run in runs if _CODE_SERVER_TAG in run.tags]
        for run in abandoned:
            instance.report_run_failed(run, _ABANDONED)
    return len(abandoned)
