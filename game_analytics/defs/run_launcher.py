"""The deployment's run launcher: Dagster's default one, plus a health check so that its monitor notices lost runs.

Runs are child processes of the code location. If that is killed, by the kernel or with its machine, no process is left
to report them, and they would stay in progress for hours while the sensors wait for them.
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
    """Launches runs in one code location. There must not be several servers behind its host name, as with a load
    balancer: each knows only its own runs."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: otherwise Dagster's monitor does not call `check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the code location still has the run. It does not have runs that have ended either, but the monitor
        rules those out itself."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # the run has ended, or was not launched by this launcher
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError:
            # It restarts, or is only unreachable and its runs are alive: a later check decides.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if run.run_id in answer.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the code location was restarted and no longer has it")
