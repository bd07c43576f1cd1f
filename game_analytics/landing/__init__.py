"""Landing a day: find its window in the log, read it in slices, commit it by its manifest. Without Dagster."""
