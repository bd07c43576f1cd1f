"""From raw files to what people look at, without Dagster."""
