"""Where a body meets the ground: points on both soles, and on the other skin for those who sit, kneel or lie.

A sole is what the foot's joints move, faces down at rest and lies near the foot's lowest point. On each part, points
are spread by taking the one farthest from all taken so far.

Source: Gonzalez, Clustering to minimize the maximum intercluster distance, Theoretical Computer Science 38, 1985
(farthest-point sampling).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError

FOOT_JOINTS = ("ankle", "foot")
UP = 1
"""The axis of a rest body that points up (`SkinnedBody`)."""
FACES_DOWN = 0.7
"""A sole's normal points down at least so far, as a cosine: within 45 degrees."""
SOLE_M = 0.03
"""A sole lies within this above the foot's lowest point, m: it leaves out the arch's upper part and the toes' tops."""
EVEN = 1 / 3
"""Share of each corner: the middle of a triangle."""


@dataclass(frozen=True, eq=False)
class GroundPoints:
    """N surface points of a body model that may meet the ground.

    Attributes:
        triangle: (N,) index into its faces.
        barycentric: (N, 3) weights of the corners.
        part: N names: "left_sole", "right_sole" or "body".
    """

    triangle: Int[Tensor, "N"]
    barycentric: Float[Tensor, "N 3"]
    part: tuple[str, ...]

    def on(self, part: str) -> Bool[Tensor, "N"]:
        """Say which points lie on a part.

        Raises:
            InputError: No point does.
        """
        if part not in self.part:
            raise InputError("part", f"one of {', '.join(sorted(set(self.part)))}", repr(part))
        return torch.tensor([name == part for name in self.part], device=self.triangle.device)


def ground_points(body: SkinnedBody, *, sole: int = 8, elsewhere: int = 24) -> GroundPoints:
    """Choose the points of a body model.

    Args:
        body: A model with SMPL's joint names.
        sole: Points on each sole.
        elsewhere: Points on the rest of the skin (24: half an arm's length apart).

    Returns:
        2 sole + elsewhere points.

    Raises:
        InputError: The model has no feet of SMPL's names, fewer triangles than points are wanted, or no points are
            wanted.
    """
    if min(sole, elsewhere) < 0 or sole + elsewhere == 0:
        raise InputError("ground points", "numbers of points, not both zero", f"sole={sole}, elsewhere={elsewhere}")
    corner = body.template[body.faces]  # (F, 3 corners, 3) m
    middle = corner.mean(1)
    normal = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    down = -normal[:, UP] > FACES_DOWN * normal.norm(dim=1)
    owner = body.dense_weights.argmax(1)[body.faces[:, 0]]  # (F,) the joint that moves a triangle most
    left_over = torch.ones_like(down)
    chosen: list[Tensor] = []
    part: list[str] = []
    for side in ("left", "right"):
        names = [f"{side}_{joint}" for joint in FOOT_JOINTS]
        if not set(names) <= set(body.joint_names):
            raise InputError("body", f"joints named {' and '.join(names)}", f"{body.name} without them")
        foot = torch.isin(owner, torch.tensor([body.joint_names.index(name) for name in names]).to(owner))
        low = middle[foot, UP].min() + SOLE_M if bool(foot.any()) else middle[:, UP].min()
        left_over &= ~foot
        found = _spread_out(middle, (foot & down & (middle[:, UP] < low)).nonzero()[:, 0], sole)
        chosen.append(found)
        part += [f"{side}_sole"] * len(found)
    found = _spread_out(middle, left_over.nonzero()[:, 0], elsewhere)
    triangle = torch.cat((*chosen, found))
    barycentric = torch.full_like(middle[: len(triangle)], EVEN)
    return GroundPoints(triangle, barycentric, (*part, *["body"] * len(found)))


def _spread_out(middle: Tensor, candidates: Tensor, count: int) -> Tensor:
    """Return `count` of some triangles, the lowest first, each as far from those before as can be."""
    if len(candidates) < count:
        raise InputError("ground points", f"at most {len(candidates)} points on a part of this model", str(count))
    if not count:
        return candidates[:0]
    place = middle[candidates]
    taken = [place[:, UP].argmin()]
    nearest = (place - place[taken[0]]).norm(dim=1)
    for _ in range(count - 1):
        taken.append(nearest.argmax())
        nearest = torch.minimum(nearest, (place - place[taken[-1]]).norm(dim=1))
    return candidates[torch.stack(taken)]
