"""Trials: the pipeline under every fault that its contract speaks of, with counts of what was tried."""
