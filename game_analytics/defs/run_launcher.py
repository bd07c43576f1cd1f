"""How the deployment launches runs: as Dagster does by default, and so that its monitor learns of those that are lost.

Runs are children of the code location. Where that was killed outright, by the kernel or with the whole machine, nobody
is left who would report them; they'd count as running for hours, and the sensors wait for running ones.
"""

from game_analytics.defs.dagster_internals import (
    CheckRunHealthResult,
    DagsterRun,
    DagsterUserCodeUnreachableError,
    DefaultRunLauncher,
    GetCurrentRunsResult,
    WorkerStatus,
    deserialize_value,
)


class WatchedRunLauncher(DefaultRunLauncher):
    """For one code location that is reached under one name. Behind it there must not be several that take turns: each
    knows only its own runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitor asks only then."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the code location still has the run. One that ended meanwhile is none of its own any more either, but
        of that the monitor makes sure itself."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # it has ended, or was never launched from here
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError:
            # Starting again, or only out of reach with its runs alive: what became of them it will tell.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if run.run_id in answer.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code location was started anew and has it no more")
