"""Tests of landing a day: window, slices and commit, without Dagster."""
