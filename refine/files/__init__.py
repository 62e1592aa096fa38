"""Containers read as data: pickles (one machine, two allow-lists), torch's and joblib's files, checkpoints."""
