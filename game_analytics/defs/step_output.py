"""The output of a step that has done some of its days: the steps behind it begin, and learn which days it has not done.

Relies on how Dagster runs steps; test_ranges.py tests that it still does.
"""

from collections.abc import Collection
from datetime import date

import dagster as dg

from game_analytics.defs.dagster_internals import StepOutputData, StepOutputHandle

_NOT_DONE = "not_done"


def output_of_some_days(context: dg.AssetExecutionContext, not_done: Collection[date]) -> dg.DagsterEvent:
    """What an asset yields in place of a result. With a result Dagster records every day of the run as materialized;
    the bare event records nothing and starts the steps behind, whether or not this one succeeds."""
    step = context.op_execution_context.get_step_execution_context()
    output = context.assets_def.get_output_name_for_asset_key(context.asset_key)
    # Otherwise Dagster yields the output itself if the step succeeds, and so records every day after all.
    step.observe_output(output)
    named = {_NOT_DONE: dg.MetadataValue.json([day.isoformat() for day in not_done])}
    data = StepOutputData(StepOutputHandle(step.step.key, output), metadata=named)
    return dg.DagsterEvent.step_output_event(step, data)


def not_done_before(context: dg.AssetExecutionContext) -> set[date]:
    """The days that the steps which this one follows have not done in this run, themselves or for the same reason."""
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
