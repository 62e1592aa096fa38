"""Dense evidence: the displacement of rendered pixels, and matches sampled from it."""
