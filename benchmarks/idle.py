"""An asset that does nothing, partitioned like ours and run like ours: what Dagster itself takes."""

import dagster as dg

from game_analytics.partitions import daily


@dg.asset(partitions_def=daily)
def nothing() -> None:
    """Do nothing."""


defs = dg.Definitions(assets=[nothing], executor=dg.in_process_executor)
