"""Tests of the simulation: offsets, matches, faults and bytes."""
