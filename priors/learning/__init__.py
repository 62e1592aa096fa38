"""Learns pose priors from a user's motion data: `python -m priors.learning.mixture`, `... priors.learning.latent`."""
