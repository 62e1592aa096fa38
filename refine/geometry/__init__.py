"""Rotations, the camera, and what belongs to a camera: lens, crops, focal rules, other people's axes."""
