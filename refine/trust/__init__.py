"""Trust in a refinement: the estimate's error, the gate, the posterior, and the parts of each term."""
