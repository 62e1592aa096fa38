"""Runs the tests as other machines would: `python -m tests.machines`."""
