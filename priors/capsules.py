"""Capsules: a skinned body as tapered capsules that ride on its joints, that follow its shape.

    capsule    all points within radius(t) of axis(t) = (1 - t) end_0 + t end_1,   radius(t) likewise,   0 <= t <= 1
    posed      end = X_j + G_j (offset + offset_basis @ [shape, expression]),
               radius + radius_basis @ [shape, expression]
    fit        least squares of d_v = |x_v - axis(t_v)| - radius(t_v) over the vertices v whose largest skinning weight
               is the part's, each as heavy as its surface; then the radii are set so that the share `INSIDE` of the
               surface lies within
    by shape   the same least squares, once, on how the vertices move: 0 = n_v . (S_v - dend(t_v)) - dradius(t_v)

with n_v the direction from the axis to the vertex. A part's axis is the one it is longest along: the bone's in limbs,
feet, hands, from side to side in the trunk, whose cross-section is wider than deep.

Source: derived here (orthogonal distance fitting by Gauss-Newton: Ahn, Least Squares Orthogonal Distance Fitting,
2004). Capsules that follow the shape, regressed from it: Bogo et al., SMPLify, 2016, sec. 3.2.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import PosedBody, SkinnedBody
from refine.solve import cholesky

FOLLOWERS = frozenset({"index", "middle", "ring", "pinky", "thumb", "hand", "foot", "jaw", "eye", "collar"})
"""Joints without a capsule of their own, sides and numbers left out: their vertices belong to the next joint above them
that has one. One capsule is a hand with its fingers, a foot with its toes, a head with jaw and eyes; collars are too
short for one and join the chest."""

LEAST_VERTICES = 8
"""Fewer do not determine the eight numbers of a capsule: such a part has none."""

INSIDE = 0.35
"""Share of a part's surface that lies inside its capsule. Below one half: parts are not round, and a capsule that
sticks out of a flat hand or a square trunk would feel contacts that are none (0.35 flags 4.2 % of the CMU recordings'
frames by more than a sigma, 0.5 5.7 %)."""

ENDS = (0.02, 0.98)
"""Quantiles of the vertices along the axis between which it starts, and to which it is weakly held."""

HOLD = 0.01
"""Weight of that hold against the whole surface: only what the surface does not determine, the axis's length where a
limb goes on, feels it."""

FIT_STEPS = 30
"""Gauss-Newton steps: the built-in body's capsules are then within 0.01 mm of where a hundred steps end."""

TINY = 1e-9
"""Length (m) or squared sine below which a direction is not divided by."""


@dataclass(frozen=True, eq=False)
class Capsules:
    """C tapered capsules of a body, linear in its S + E shape and expression coefficients.

    Attributes:
        names: C names of the joints that carry them.
        joint: (C,) these joints.
        offset: (C, 2, 3) m, the axis's ends at rest, seen from the joint.
        offset_basis: (C, 2, 3, S + E) m per unit coefficient.
        radius: (C, 2) m, at the two ends.
        radius_basis: (C, 2, S + E) m per unit coefficient.
        error_m: (C,) m, root mean square distance of the part's surface from the capsule's, mean shape.
    """

    names: tuple[str, ...]
    joint: Int[Tensor, "C"]
    offset: Float[Tensor, "C 2 3"]
    offset_basis: Float[Tensor, "C 2 3 K"]
    radius: Float[Tensor, "C 2"]
    radius_basis: Float[Tensor, "C 2 K"]
    error_m: Float[Tensor, "C"]

    def placed(self, posed: PosedBody) -> tuple[Float[Tensor, "B C 2 3"], Float[Tensor, "B C 2"]]:
        """Return the ends (B, C, 2, 3) m and the radii (B, C, 2) m of posed bodies, in the frame of the translation."""
        coefficients = torch.cat((posed.bodies.shape, posed.bodies.expression), 1)  # (B, K)
        offset = self.offset + (self.offset_basis @ coefficients[:, None, None, :, None])[..., 0]  # (B, C, 2, 3)
        radius = self.radius + (self.radius_basis @ coefficients[:, None, :, None])[..., 0]
        return posed.joints[:, self.joint, None] + offset @ posed.rotations[:, self.joint].mT, radius


def fit_capsules(body: SkinnedBody) -> Capsules:
    """Fit a body's capsules, in float64 on the CPU.

    Args:
        body: Any skinned body.

    Returns:
        Its capsules, on its device and of its dtype, in the order of the joints; none for parts of fewer than
        `LEAST_VERTICES`.
    """
    points = body.template.double().cpu()
    basis = torch.cat((body.shape_basis, body.expression_basis), 2).double().cpu()
    joint_basis = torch.cat((body.joint_basis, body.joint_expression_basis), 2).double().cpu()
    carrier = torch.tensor(_carriers(body))[body.dense_weights.argmax(1).cpu()]  # (V,)
    weight = _vertex_areas(points, body.faces.cpu())
    parts = [j for j in range(len(body.joint_names)) if int((carrier == j).sum()) >= LEAST_VERTICES]
    numbers, by_shape = points.new_zeros(len(parts), 8), points.new_zeros(len(parts), 8, basis.shape[2])
    error = points.new_zeros(len(parts))
    for row, part in enumerate(parts):
        mine = carrier == part
        numbers[row], by_shape[row], error[row] = _fit(points[mine], basis[mine], weight[mine])
    joint = torch.tensor(parts, dtype=torch.long)
    offset = numbers[:, :6].unflatten(1, (2, 3)) - body.joint_template.double().cpu()[joint, None]
    offset_basis = by_shape[:, :6].unflatten(1, (2, 3)) - joint_basis[joint, None]
    found = (offset, offset_basis, numbers[:, 6:], by_shape[:, 6:], error)
    return Capsules(
        tuple(body.joint_names[j] for j in parts),
        joint.to(body.template.device),
        *(part.to(body.template) for part in found),
    )


def _carriers(body: SkinnedBody) -> list[int]:
    """For each joint, the joint that carries the capsule of its vertices."""
    carrier: list[int] = []
    for joint, name in enumerate(body.joint_names):
        word = name.removeprefix("left_").removeprefix("right_").removesuffix("_smplhf").rstrip("0123456789")
        carrier.append(carrier[body.parent_list[joint]] if joint and word in FOLLOWERS else joint)
    return carrier


def _vertex_areas(points: Tensor, faces: Tensor) -> Tensor:
    """A third of the area of a vertex's triangles, (V,) m²."""
    first, second, third = points[faces].unbind(1)
    third_area = torch.linalg.cross(second - first, third - first).norm(dim=1) / 6
    return points.new_zeros(len(points)).index_add(0, faces.flatten(), third_area.repeat_interleave(3)) + TINY


def _fit(points: Tensor, basis: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit one capsule: its ends and radii (8,) m, how they follow the coefficients (8, K), the error left, m."""
    weight = weight / weight.sum()
    mean = weight @ points
    away = points - mean
    axis = torch.linalg.eigh(away.mT @ (weight[:, None] * away))[1][:, 2]
    along = away @ axis
    reach = torch.stack([_quantile(along, weight, share) for share in ENDS])
    start = (mean + reach[:, None] * axis).flatten()
    radius = weight @ (away - along[:, None] * axis).norm(dim=1)
    numbers = torch.cat((start, radius.repeat(2)))
    hold = HOLD * torch.cat((torch.ones(6), torch.full((2,), TINY))).to(points)
    for _ in range(FIT_STEPS):
        distance, rows, _ = _distance(points, numbers)
        wanted = torch.cat((start, numbers[6:])) - numbers
        matrix = rows.mT @ (weight[:, None] * rows) + torch.diag(hold)
        right = hold * wanted - rows.mT @ (weight * distance)
        numbers = numbers + cholesky.solve(matrix[None], right[None, :, None])[0, :, 0]
    distance, rows, share = _distance(points, numbers)
    radii = (numbers[6:] + _quantile(distance, weight, INSIDE)).clamp(min=TINY)
    numbers = torch.cat((numbers[:6], radii))
    distance, rows, share = _distance(points, numbers)
    normal = rows[:, :3] + rows[:, 3:6]  # minus the surface's
    near = weight[:, None] * torch.stack((1 - share, share), 1)  # (V, 2): what is at either end moves with it
    held = (near / near.sum(0).clamp(min=TINY)).mT @ basis.flatten(1)  # (2, 3 K)
    held = torch.cat((held.reshape(6, -1), held.new_zeros(2, basis.shape[2])))
    moved = (normal[:, None] @ basis)[:, 0]  # (V, K)
    matrix = rows.mT @ (weight[:, None] * rows) + torch.diag(hold)
    by_shape = cholesky.solve(matrix[None], (hold[:, None] * held + rows.mT @ (weight[:, None] * moved))[None])[0]
    return numbers, by_shape, (weight @ distance.square()).sqrt()


def _distance(points: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Signed distances (V,) m from a capsule, their derivative (V, 8) by its numbers, and t (V,) on its axis."""
    first, second = numbers[:3], numbers[3:6]
    axis = second - first
    share = ((points - first) @ axis / (axis @ axis).clamp(min=TINY)).clamp(0, 1)
    away = points - first - share[:, None] * axis
    length = away.norm(dim=1).clamp(min=TINY)
    normal, both = away / length[:, None], torch.stack((1 - share, share), 1)  # (V, 3), (V, 2)
    rows = torch.cat((-(both[:, :, None] * normal[:, None]).flatten(1), -both), 1)
    return length - both @ numbers[6:], rows, share


def _quantile(values: Tensor, weight: Tensor, share: float) -> Tensor:
    """The value below which lies this share of the weight, which sums to 1."""
    order = values.argsort()
    place = torch.searchsorted(weight[order].cumsum(0), torch.tensor(share).to(weight))
    return values[order[place.clamp(max=len(values) - 1)]]
