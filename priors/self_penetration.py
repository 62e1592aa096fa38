"""Self-penetration: body parts stay out of each other, as far as flesh does not give.

    residual[b, n] = hinge(overlap[b, n] - slack) / sigma_m,     overlap = r(s) + R(t) - |p(s) - q(t)|
    hinge(x) = 0 below 0,   x² / (2 h) up to h,   x - h / 2 beyond              once differentiable
    d overlap / d step_k = ± G_kᵀ ((p - X_k) x m),   m = -(p - q) / |p - q|
        + where k turns p alone, - where q alone, 0 where both
    d overlap / d shape  = m . (dp - dq) + dr + dR                              at fixed s, t

for the pairs of `priors.capsule_pairs`, p and q on the axes of the two capsules where these are closest, m a constant
of the derivative by the envelope theorem, the second derivative the same for p and q because p - q is parallel to m. A
translation moves both.

Source: Bogo et al., SMPLify, 2016, eq. 4 (E_sp, there over spheres along the capsules); the derivatives are derived
here.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from priors.capsule_pairs import CapsulePairs, along, closest, overlap, pairs_of
from priors.capsules import TINY
from refine.batch import Index
from refine.body import PosedBody
from refine.check import check_positive
from refine.errors import InputError
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

HINGE_M = 0.005
"""Where the hinge turns straight, m: h. Half a `sigma_m`, enough for steps not to jump on and off."""


@dataclass(frozen=True)
class SelfPenetration:
    """Keeps a body's parts out of each other; capsules and pairs are found once per body, from its mesh.

    Deep crossings are not undone: where two axes have passed each other, the way out is the other side.

    Raises:
        InputError: `sigma_m` is not above zero, or `slack_m` is below.
    """

    sigma_m: float = 0.01
    """How softly a part gives beyond the slack, m. A judgement: capsules fit the parts of the built-in body to 2
    (forearm) to 20 mm (pelvis), 10 in the mean."""
    slack_m: float = 0.015
    """Overlap that is free, m (15 mm: resting contact presses fat and muscle by one to two centimetres, a
    judgement)."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: solid parts do not escape each other."""

    def __post_init__(self) -> None:
        check_positive("sigma_m", torch.tensor(self.sigma_m), "m", "To switch the term off leave it out.")
        if not 0 <= self.slack_m < float("inf"):
            raise InputError("slack_m", "a finite length of at least zero (m)", f"{self.slack_m:g}")

    def rows(self, index: Index) -> "SelfPenetration":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 1), unitless, N pairs of capsules, and its Jacobian (B, N, 1, P) per unit step."""
        pairs = pairs_of(posed.body)
        ends, radius = pairs.capsules.placed(posed)
        share = closest(ends[:, pairs.first], radius[:, pairs.first], ends[:, pairs.second], radius[:, pairs.second])
        point, other = along(ends[:, pairs.first], share[0]), along(ends[:, pairs.second], share[1])  # (B, N, 3) m
        reach = _radius(radius[:, pairs.first], share[0]) + _radius(radius[:, pairs.second], share[1])
        between = point - other
        distance = between.norm(dim=-1)  # (B, N) m
        beyond = (reach - distance - self.slack_m).clamp(min=0)
        bent = beyond.clamp(max=HINGE_M)
        slope = bent / HINGE_M / self.sigma_m  # (B, N) 1/m, d residual / d overlap
        residual = (beyond - bent + bent * bent / (2 * HINGE_M)) / self.sigma_m
        push = -between * (slope / distance.clamp(min=TINY))[..., None]  # (B, N, 3) 1/m

        jacobian = residual.new_zeros(
            len(residual), unknowns.size, 1, residual.shape[1]
        )  # columns first, as sums run over pairs
        jacobian[:, unknowns.pose_columns, 0] = _by_pose(posed, pairs, unknowns, point, push)
        if unknowns.shape or unknowns.expression:
            columns = slice(unknowns.shape_columns.start, unknowns.expression_columns.stop)
            jacobian[:, columns, 0] = _by_coefficients(posed, pairs, unknowns, share, push, slope)
        return Linearization(residual[..., None], jacobian.permute(0, 3, 2, 1), self.kernel)

    def penetration(self, posed: PosedBody) -> tuple[Float[Tensor, "B N"], tuple[tuple[str, str], ...]]:
        """Say which parts lie in each other, and how deep.

        Args:
            posed: B posed bodies.

        Returns:
            (B, N) m, overlap of each pair beyond the slack, 0 where there is none; and the pairs' names.
        """
        pairs = pairs_of(posed.body)
        ends, radius = pairs.capsules.placed(posed)
        over = overlap(ends[:, pairs.first], radius[:, pairs.first], ends[:, pairs.second], radius[:, pairs.second])
        return (over - self.slack_m).clamp(min=0), pairs.names


def _radius(radius: Tensor, share: Tensor) -> Tensor:
    """Radius (B, N) m of tapered capsules that far along their axes."""
    return torch.lerp(radius[..., 0], radius[..., 1], share)


def _by_pose(posed: PosedBody, pairs: CapsulePairs, unknowns: Unknowns, point: Tensor, push: Tensor) -> Tensor:
    """Columns (B, 3 K, N) of the K free joints' steps."""
    free = torch.tensor(unknowns.joints, dtype=torch.long, device=point.device)
    force = push.mT[:, None]  # (B, 1, 3, N)
    lever = point.mT[:, None] - posed.joints[:, free, :, None]  # (B, K, 3, N)
    torque = torch.linalg.cross(lever, force.expand_as(lever), dim=2) * pairs.turned[free, None]
    return (posed.rotations[:, free].mT @ torque).flatten(1, 2)


def _by_coefficients(
    posed: PosedBody, pairs: CapsulePairs, unknowns: Unknowns, share: tuple[Tensor, Tensor], push: Tensor, slope: Tensor
) -> Tensor:
    """Columns (B, S + E, N) of the free shape and expression coefficients."""
    capsules, shapes = pairs.capsules, posed.bodies.shape.shape[1]
    free = torch.tensor([*range(unknowns.shape), *range(shapes, shapes + unknowns.expression)], device=push.device)
    still = Unknowns((), unknowns.shape, unknowns.expression, translation=0)
    joints = posed.joints_with_jacobian(still)[1][:, capsules.joint]  # (B, C, 3, S + E)
    basis = capsules.offset_basis[..., free]  # (C, 2, 3, S + E)
    ends = joints[:, :, None] + posed.rotations[:, capsules.joint, None] @ basis  # (B, C, 2, 3, S + E)
    radius = capsules.radius_basis[..., free]  # (C, 2, S + E)
    columns = push.new_zeros(*push.shape[:2], len(free))
    for which, part, sign in ((pairs.first, share[0], 1.0), (pairs.second, share[1], -1.0)):
        for end, near in ((0, 1 - part), (1, part)):
            pull = (sign * near)[..., None, None] * push[:, :, None]  # (B, N, 1, 3)
            columns = columns + (pull @ ends[:, which, end])[:, :, 0] + (near * slope)[..., None] * radius[which, end]
    return columns.mT
