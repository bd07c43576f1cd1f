"""Engines run one function over many items, on this machine or on others."""
