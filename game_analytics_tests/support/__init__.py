"""Shared by tests: logs, lakes, samples, servers, harnesses."""
