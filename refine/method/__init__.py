"""Several starts of the method, and the best solution for each person."""
