"""A small regressor and what refine needs to work with it."""
