"""How far a refinement can be believed: how wrong the estimate was, whether the update is accepted, how sure the result is, and why it moved."""
