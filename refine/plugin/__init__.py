"""Two lines in an inference script: attach the method to a regressor, so that it returns refined output of its own type."""
