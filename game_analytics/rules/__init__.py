"""Business rules as pure functions: no Dagster, no I/O, no clock."""
