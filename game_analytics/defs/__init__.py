"""All that knows Dagster: assets, sensors, schedules, resources; named as `dg` names it."""
