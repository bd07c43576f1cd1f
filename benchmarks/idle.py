"""A Dagster project with one asset that does nothing, partitioned as ours are: the cost of a command on any asset."""

import dagster as dg


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-01-01"))
def idle() -> dg.MaterializeResult[None]:
    """Does nothing."""
    return dg.MaterializeResult()


# Our executor; the default one starts a process for each step, which takes seconds.
defs = dg.Definitions(assets=[idle], executor=dg.in_process_executor)
