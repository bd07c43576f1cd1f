"""Tests of the simulation: what it promises of offsets, matches, trouble and bytes."""
