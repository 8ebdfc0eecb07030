"""Benchmarks: `make bench` and `make bench-quick`. They print; nothing fails by its figure."""
