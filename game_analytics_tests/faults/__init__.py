"""Fault injection: the pipeline under every fault that its contract covers, with counts of the cases tried."""
