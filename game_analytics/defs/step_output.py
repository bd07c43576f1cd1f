"""The output of a step that has done only some of its days: downstream steps run, and read from it which days to skip.

Depends on internals of Dagster's step execution; test_ranges.py covers them.
"""

from collections.abc import Collection
from datetime import date

import dagster as dg

from game_analytics.defs.dagster_internals import StepOutputData, StepOutputHandle

_NOT_DONE = "not_done"


def partial_output(context: dg.AssetExecutionContext, not_done: Collection[date]) -> dg.DagsterEvent:
    """The event that an asset yields instead of a result. A result would record every day of the run as materialized;
    this event records none, and lets downstream steps start whether or not this one succeeds."""
    step = context.op_execution_context.get_step_execution_context()
    output = context.assets_def.get_output_name_for_asset_key(context.asset_key)
    # Marks the output as yielded. Otherwise Dagster yields it itself if the step succeeds, and records every day.
    step.observe_output(output)
    named = {_NOT_DONE: dg.MetadataValue.json([day.isoformat() for day in not_done])}
    data = StepOutputData(StepOutputHandle(step.step.key, output), metadata=named)
    return dg.DagsterEvent.step_output_event(step, data)


def not_done_upstream(context: dg.AssetExecutionContext) -> set[date]:
    """The days that the steps which this one depends on have failed or skipped in this run."""
    step = context.op_execution_context.get_step_execution_context().step
    return {
        date.fromisoformat(day)
        for event in _outputs(context)
        if event.step_key in step.get_execution_dependency_keys()
        for day in _listed(event)
    }


def _outputs(context: dg.AssetExecutionContext) -> list[dg.DagsterEvent]:
    records = context.instance.get_records_for_run(context.run.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT).records
    return [event for record in records if (event := record.event_log_entry.dagster_event) is not None]


def _listed(output: dg.DagsterEvent) -> list[str]:
    days = output.step_output_data.metadata.get(_NOT_DONE)
    return list(days.value) if isinstance(days, dg.JsonMetadataValue) and isinstance(days.value, list) else []
