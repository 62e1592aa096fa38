"""What a displacer says of bodies as they stand in their photos, for those who want to see it.

    sigma = |det root|^-½ / scale,     residual = |root offset|         scale px of the crop per px of the photo

`sigma` is one standard deviation, the geometric mean of both axes; `residual` is how far the pixel is from where the
photo has it, in standard deviations: about one everywhere says that body and photo agree as well as the displacer can
tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from displacement_net.displacement import Displacement
from refine.estimate import Estimate
from refine.geometry.crop import Crop
from refine.photo import Photo
from refine.render import Rasterizer
from refine.render.view import View, render_view


@dataclass(frozen=True, eq=False)
class Prediction:
    """A displacement of B bodies, and where it was seen.

    Attributes:
        crop: Where the crops lie in their photos.
        rendered: (B, S, S) where the bodies are rendered.
        displacement: (B, S, S) px of the crops.
    """

    crop: Crop
    rendered: Bool[Tensor, "B S S"]
    displacement: Displacement

    @property
    def informed(self) -> Bool[Tensor, "B S S"]:
        """(B, S, S) rendered pixels with a displacement."""
        root = self.displacement.sqrt_information
        return self.rendered & (root.diagonal(dim1=-2, dim2=-1) > 0).all(-1)

    @property
    def offset_px(self) -> Float[Tensor, "B S S 2"]:
        """(B, S, S, 2) px of the photo."""
        return self.displacement.offset / self.crop.scale[:, None, None]

    @property
    def sigma_px(self) -> Float[Tensor, "B S S"]:
        """(B, S, S) px of the photo, infinite where there is none."""
        root = self.displacement.sqrt_information.diagonal(dim1=-2, dim2=-1)
        scale = self.crop.scale.prod(1).sqrt()[:, None, None]
        return torch.where(self.informed, root.prod(-1).rsqrt() / scale, torch.inf)

    @property
    def residual(self) -> Float[Tensor, "B S S"]:
        """(B, S, S) standard deviations, zero where there is none."""
        displacement = self.displacement
        return torch.where(
            self.informed, (displacement.sqrt_information @ displacement.offset[..., None])[..., 0].norm(dim=-1), 0.0
        )


@torch.no_grad()
def predict(
    photos: Sequence[Photo],
    estimate: Estimate,
    displace: Callable[[View], Displacement],
    rasterizer: Rasterizer | None = None,
    crop_px: int = 256,
) -> Prediction:
    """Ask a displacer about bodies.

    Args:
        photos: The photos `estimate.image_index` points into.
        estimate: B bodies and cameras.
        displace: What is asked: a displacer's method (`refine.refiner.Displacer`).
        rasterizer: Finds the triangles; None: the fastest one installed.
        crop_px: S, side of the crops, px.

    Returns:
        What it says; of a body behind the camera or outside the photo, nothing is rendered.
    """
    view = render_view(photos, estimate, rasterizer, crop_px)
    return Prediction(view.crop, view.fragments.triangle >= 0, displace(view))
