"""The sensor that posts an alert for each run that failed."""

from functools import partial

import dagster as dg

from game_analytics.defs.alerts import failures, report_runs
from game_analytics.defs.resources import AlertsResource


@dg.sensor(
    name="alert_on_failure",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, for each run that failed.",
)
def alert_on_failure(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SkipReason:
    """Report which assets failed and why, and which checks of the run did."""
    return report_runs(context, alerts, dg.DagsterRunStatus.FAILURE, partial(failures, context.instance))
