"""The run launcher's path of earlier versions, which a running deployment's `dagster.yaml` names. Goes with the next
release."""

from game_analytics.defs.run_launcher import WatchedRunLauncher

__all__ = ["WatchedRunLauncher"]
