"""Dense evidence: who says how far rendered pixels should move, and the matches that are taken from it."""
