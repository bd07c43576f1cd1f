"""Runs that an earlier stack could not end: its machine went down, or it was killed outright."""

from pathlib import Path

_LAUNCHED_BY_A_STACK = ".dagster/grpc_info"
"""The tag by which Dagster notes the code server that started a run."""

_ENDED_WITH_THE_STACK = "The stack that ran it ended before it did. Launch it again."


def close_abandoned_runs(dagster_home: Path) -> int:
    """Mark them failed, and tell how many there were; call it while no stack runs on this history.

    Nothing else ever would: they'd count as running for good, and the sensor waits for running ones.
    """
    if not (dagster_home / "history").exists():
        return 0
    # Importing Dagster takes a second and a half, which a first start need not wait for.
    import dagster as dg  # noqa: PLC0415

    running = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=running))
        # One without it is a `dagster asset materialize` in some shell, which may well live.
        abandoned = [run for run in runs if _LAUNCHED_BY_A_STACK in run.tags]
        for run in abandoned:
            instance.report_run_failed(run, _ENDED_WITH_THE_STACK)
    return len(abandoned)
