"""A displacer's prediction for bodies in their photos, for display.

    sigma = |det root|^-½ / scale,     residual = |root offset|         scale px of the crop per px of the photo

`sigma` is one standard deviation, the geometric mean of both axes; `residual` is the displacement in standard
deviations: about one everywhere where body and photo agree within the displacer's accuracy.
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
    """The displacement of B bodies, and the crops it was predicted in.

    Attributes:
        crop: Where the crops lie in their photos.
        rendered: (B, S, S) where the bodies are rendered.
        displacement: (B, S, S, 2) px of the crops, with its information.
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
        """(B, S, S, 2) displacement, px of the photo."""
        return self.displacement.offset / self.crop.scale[:, None, None]

    @property
    def sigma_px(self) -> Float[Tensor, "B S S"]:
        """(B, S, S) standard deviation, px of the photo; infinite without information."""
        root = self.displacement.sqrt_information.diagonal(dim1=-2, dim2=-1)
        scale = self.crop.scale.prod(1).sqrt()[:, None, None]
        return torch.where(self.informed, root.prod(-1).rsqrt() / scale, torch.inf)

    @property
    def residual(self) -> Float[Tensor, "B S S"]:
        """(B, S, S) displacement in standard deviations; zero without information."""
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
    """Predict the displacement of bodies.

    Args:
        photos: The photos `estimate.image_index` points into.
        estimate: B bodies and cameras.
        displace: A displacer's method (`refine.dense.displacer.Displacer`).
        rasterizer: Finds the triangles; None: the fastest one installed.
        crop_px: S, side of the crops, px.

    Returns:
        The prediction; without rendered pixels for a body behind the camera or outside the photo.
    """
    view = render_view(photos, estimate, rasterizer, crop_px)
    return Prediction(view.crop, view.fragments.triangle >= 0, displace(view))
