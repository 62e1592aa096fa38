"""People over time: one call that solves the tracks of a video."""

from refine.video.clips import fit_clip
from refine.video.fit import fit_video

__all__ = ["fit_clip", "fit_video"]
