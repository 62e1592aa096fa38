"""A displacer that knows where people really are: what the network would say if it never erred, with a stated
uncertainty."""

from dataclasses import dataclass

import torch

from displacement_net.displacement import Displacement
from refine.body import pose_body
from refine.render import shade
from refine.render.view import View
from refine.state import State


@dataclass(frozen=True)
class Oracle:
    """A `refine.refiner.Displacer`.

    Attributes:
        true: The bodies of the views to come, as they are.
        sigma_px: Standard deviation it states, px of the crop.
        silent: The leftmost share of each crop of which it says nothing.
    """

    true: State
    sigma_px: float = 1.5
    silent: float = 0.0

    def displace(self, view: View) -> Displacement:
        """Return where the rendered points really lie."""
        body, side = view.estimate.body, view.crop.side
        points = shade.interpolate(view.fragments, body.faces, pose_body(body, self.true.bodies).vertices)
        line = torch.arange(side).to(points) + 0.5
        center = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
        offset = view.crop.camera(self.true.camera).project(points) - center
        seen = (view.fragments.triangle >= 0) & (center[..., 0] >= self.silent * side)
        root = torch.eye(2).to(points) / self.sigma_px
        return Displacement(
            torch.where(seen[..., None], offset, 0.0), torch.where(seen[..., None, None], root, torch.zeros_like(root))
        )
