"""Every environment variable, its default and its bounds, once. No Dagster."""
