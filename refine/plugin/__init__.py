"""Attaches the method to a regressor in memory, so that it returns refined output of its own type."""
