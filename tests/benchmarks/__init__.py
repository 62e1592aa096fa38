"""Benchmarks: every file here with a function `measure() -> list[Measurement]` is one; `python -m tests.benchmarks` runs them."""
