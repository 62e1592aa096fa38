"""Rotations, cameras, lenses, crops, focal rules, and the axes of other libraries."""
