"""Renders bodies into crops of the photos and matches what is rendered with the photos, again where bodies moved.

estimate -> view -> displacement -> matches
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from refine import batch
from refine.dense.correspondence import Matching, correspond
from refine.dense.displacer import Displacer
from refine.estimate import Estimate
from refine.photo import Photo
from refine.render import Rasterizer
from refine.render.view import View, render_view
from refine.state import State
from refine.terms.correspondences import Correspondences


@dataclass(frozen=True, eq=False)
class Matched:
    """Matches of B bodies with their photos.

    Attributes:
        view: The bodies as they were rendered last.
        matches: Of each body, from when it was last rendered.
    """

    view: View
    matches: Correspondences


@dataclass(frozen=True, eq=False)
class Matcher:
    """Matches rendered bodies with photos.

    Attributes:
        photos: The images `estimate.image_index` points into.
        displacer: Predicts the displacement of rendered pixels; None: nothing is matched.
        matching: How matches are taken from a displacement.
        rasterizer: Finds the visible triangles; None: the fastest one installed.
        crop_px: Side of the square crops that are rendered.
    """

    photos: Sequence[Photo]
    displacer: Displacer | None
    matching: Matching
    rasterizer: Rasterizer | None
    crop_px: int

    def match(self, estimate: Estimate, before: Matched | None, still: Bool[Tensor, "B"]) -> Matched | None:
        """Match bodies with their photos.

        Args:
            estimate: B bodies.
            before: Their matches of the round before; None: this is the first.
            still: (B,) bodies that keep their matches.

        Returns:
            The matches; None without a displacer.
        """
        if self.displacer is None or (before is not None and bool(still.all())):
            return before
        parts = estimate.body.vertex_parts[estimate.body.faces[:, 0]]
        shown = None if before is None else before.view
        view = render_view(self.photos, estimate, self.rasterizer, self.crop_px, before=shown)
        displacement = self.displacer.displace(view)
        fresh = correspond(view.fragments, displacement, view.crop.image_from_crop, self.matching, parts)
        return Matched(view, fresh if before is None else batch.where(still, before.matches, fresh))


def still_bodies(matched: Matched | None, state: State, still: Bool[Tensor, "B"], least_px: float) -> Bool[Tensor, "B"]:
    """Return the bodies (B,) that wait for the last round: those that did, and those that hardly moved since.

    Args:
        matched: The matches of the round; None: nothing is rendered, and nobody waits.
        state: B bodies after it.
        still: (B,) those that waited.
        least_px: Joints that moved less than this (px of the crop) are still.
    """
    return still if matched is None else still | (matched.view.moved_px(state) < least_px)
