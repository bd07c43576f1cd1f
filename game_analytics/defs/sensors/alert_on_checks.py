"""The sensor that posts an alert for each successful run with checks that failed or warn."""

from functools import partial

import dagster as dg

from game_analytics.defs.alerts import failed_checks, report_runs
from game_analytics.defs.resources import AlertsResource


@dg.sensor(
    name="alert_on_checks",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts a message to GAME_ANALYTICS_ALERT_WEBHOOK, if that is set, where checks failed or warn.",
)
def alert_on_checks(context: dg.SensorEvaluationContext, alerts: AlertsResource) -> dg.SkipReason:
    """Report which checks of a successful run failed or warn."""
    return report_runs(context, alerts, dg.DagsterRunStatus.SUCCESS, partial(failed_checks, context.instance))
