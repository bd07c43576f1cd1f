"""Tests of what is deployed: each file of `deploy/` is held against what the project really does."""
