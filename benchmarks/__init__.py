"""Benchmarks: what a day costs, measured on this machine beside what it is compared with. Each is run by `make`."""
