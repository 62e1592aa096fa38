"""Learns pose priors from a user's own motion data: `python -m priors.learning.mixture` and `python -m priors.learning.latent`."""
