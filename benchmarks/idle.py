"""A Dagster project with one asset, partitioned as ours are, that does nothing: what a command on any asset takes."""

import dagster as dg


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-01-01"))
def idle() -> dg.MaterializeResult[None]:
    """Nothing at all."""
    return dg.MaterializeResult()


# The executor that ours has: the default one starts a process for the step, which takes seconds.
defs = dg.Definitions(assets=[idle], executor=dg.in_process_executor)
