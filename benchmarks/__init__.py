"""Benchmarks of time and memory, each with what it is compared with. Run by `make bench` and `make bench-kafka`."""
