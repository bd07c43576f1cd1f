"""The private names of Dagster that the package uses, in one place: an upgrade that moves one breaks here.

Also private, but used as attributes of public objects: `DagsterInstance.run_storage` and `event_log_storage`
(history.py), `AssetExecutionContext.op_execution_context.get_step_execution_context` (step_output.py), and
`DefaultRunLauncher._get_grpc_client_for_termination` (run_launcher.py).
"""

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.execution.asset_backfill import AssetBackfillData
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.execution.plan.outputs import StepOutputData, StepOutputHandle
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value

__all__ = [
    "AssetBackfillData",
    "BulkActionStatus",
    "BulkActionsFilter",
    "CheckRunHealthResult",
    "DagsterGrpcClient",
    "DagsterRun",
    "DagsterUserCodeUnreachableError",
    "DefaultRunLauncher",
    "GetCurrentRunsResult",
    "GrpcServerCodeLocationOrigin",
    "PartitionBackfill",
    "SqlRunStorage",
    "StepOutputData",
    "StepOutputHandle",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "deserialize_value",
]
