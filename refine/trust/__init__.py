"""How far a refinement can be believed: the estimate's error, the gate, the posterior, and why bodies moved."""
