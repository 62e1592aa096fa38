"""Benchmarks: every file here with `measure() -> list[Measurement]` is one; `python -m tests.benchmarks` runs them."""
