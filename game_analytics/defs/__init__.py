"""Everything that imports Dagster: assets, jobs, schedules, sensors, checks and resources, laid out as `dg` does."""
