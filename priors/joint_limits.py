"""Joint limits: nothing inside a joint's range, a growing pull back outside.

    residual[b, j] = (max(angles - upper, 0) - max(lower - angles, 0)) / sigma_rad        three a joint

with the twist and swing angles of `priors.swing_twist` and the ranges of `priors.joint_ranges`.

Source: see `priors.joint_ranges`; the one-sided penalty is that of Bogo et al., SMPLify, 2016, eq. 3, linear instead of
exponential so that a wrong estimate does not swamp the image.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from priors.joint_ranges import HUMAN_RANGES, JointRange
from priors.near_estimate import spread
from priors.swing_twist import swing_twist
from refine.batch import Index
from refine.body import PosedBody
from refine.check import check_positive
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization


@dataclass(frozen=True)
class JointLimits:
    """Keeps the free joints that have a range inside it.

    Raises:
        InputError: `sigma_rad` is not above zero.
    """

    ranges: Mapping[str, JointRange] = field(default_factory=lambda: HUMAN_RANGES)
    """Ranges of the left side and the middle, by joint name without "left_"; joints that are not named are not
    limited."""
    sigma_rad: float = math.radians(5)
    """How softly a limit gives, rad (5 degrees: what goniometry of one joint scatters by, Boone et al., Phys. Ther.
    58(11), 1978)."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: a joint does not escape its limit."""

    def __post_init__(self) -> None:
        check_positive("sigma_rad", torch.tensor(self.sigma_rad), "rad", "To switch the limits off leave them out.")

    def rows(self, index: Index) -> "JointLimits":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 3), N free joints with a range, and its Jacobian (B, N, 3, P) per unit step."""
        pose = state.bodies.pose
        table = self._table(posed.body.joint_names)
        slots = [slot for slot, joint in enumerate(unknowns.joints) if joint in table]
        joints = [unknowns.joints[slot] for slot in slots]
        over, angles_by_step = self._beyond(pose[:, joints], [table[joint] for joint in joints])
        free = unknowns.free_joints(joints)
        if free is not None:
            over = torch.where(free[..., None], over, 0.0)
        blocks = torch.where((over != 0)[..., None], angles_by_step / self.sigma_rad, torch.zeros_like(angles_by_step))
        jacobian = spread(blocks, torch.tensor(slots, dtype=torch.long, device=pose.device), unknowns)
        return Linearization(over / self.sigma_rad, jacobian, self.kernel)

    def violations(self, pose: Float[Tensor, "B J 3 3"], joint_names: tuple[str, ...]) -> Float[Tensor, "B J"]:
        """Say how far each joint is beyond its range.

        Args:
            pose: (B, J, 3, 3) local rotations.
            joint_names: J names.

        Returns:
            (B, J) rad, the largest of the three angles' excess; 0 inside and for joints that are not limited.
        """
        table = self._table(joint_names)
        over, _ = self._beyond(pose[:, list(table)], list(table.values()))
        beyond = pose.new_zeros(pose.shape[:2])
        beyond[:, list(table)] = over.abs().amax(-1)
        return beyond

    def _table(self, joint_names: tuple[str, ...]) -> dict[int, JointRange]:
        """The range of each joint that has one, by the joint's index."""
        table = {}
        for joint, name in enumerate(joint_names):
            found = self.ranges.get(name.removeprefix("left_").removeprefix("right_"))
            if found is not None:
                table[joint] = found.mirrored() if name.startswith("right_") else found
        return table

    def _beyond(self, pose: Tensor, ranges: list[JointRange]) -> tuple[Tensor, Tensor]:
        """Signed excess (B, N, 3) rad of joints over their ranges, and the angles' derivative (B, N, 3, 3)."""
        bone, lower, upper = _bounds(tuple(ranges), pose.device, pose.dtype)
        angles, angles_by_step = swing_twist(pose, bone)
        return (angles - upper).clamp(min=0) - (lower - angles).clamp(min=0), angles_by_step


@lru_cache(maxsize=32)
def _bounds(ranges: tuple[JointRange, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Bone axes, lower and upper bounds (N, 3) each, rad, moved to the device once instead of at every step."""
    bone = torch.eye(3, dtype=dtype, device=device)[[each.bone for each in ranges]]
    bounds = (
        torch.tensor([(each.x, each.y, each.z) for each in ranges], dtype=torch.float64).reshape(-1, 3, 2).deg2rad()
    )
    bounds = bounds.to(device=device, dtype=dtype)
    return bone, bounds[..., 0], bounds[..., 1]
