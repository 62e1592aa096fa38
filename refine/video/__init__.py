"""People over time: one call that solves the tracks of a video."""

from refine.video.fit import fit_video

__all__ = ["fit_video"]
