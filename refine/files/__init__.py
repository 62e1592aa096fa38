"""Containers of data, read as data: pickles (one machine, two lists of what they may ask for), torch's and joblib's files, checkpoints."""
