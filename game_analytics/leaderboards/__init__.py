"""From raw files to what people see: a day's stats, and the boards that are made of them. Without Dagster."""
