"""Elbows and knees do not bend backwards: SMPLify's exponential of the bending angle, counted the wrong way.

    residual[b, i] = exp(angle[b, i]) / sigma     i: left elbow, right elbow, left knee, right knee, those that are free

`angle` (rad) is the hinge's part of the swing (`priors.swing_twist`), negative where the limb bends as limbs do: with
rest frames x left, y up, z front, elbows bend about y (the left one to -y, the right one to +y) and knees about x (both
to +x).

The term is never quite silent: a straight limb lies at exp(0), so it is drawn to bend. `JointLimits` is silent inside
the range, and is the default for that reason; this one is for those who want SMPLify's objective, or a limb that leaves
full extension by itself.

Source: Bogo et al., SMPLify, ECCV 2016, eq. 3. The scale: see `SIGMA` and `SMPLIFY_SIGMA`.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from priors.near_estimate import spread
from priors.swing_twist import swing_twist
from refine.batch import Index
from refine.body import PosedBody
from refine.check import check_positive
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

X, Y = 0, 1
HINGES = {
    "left_elbow": (X, Y, 1.0),
    "right_elbow": (X, Y, -1.0),
    "left_knee": (Y, X, -1.0),
    "right_knee": (Y, X, -1.0),
}
"""By joint name: the axis the bone lies along, the axis of the hinge, and the sign of its wrong angles."""

SIGMA = 0.5
"""Root mean square of exp(angle) over the CMU recordings (mocap.cs.cmu.edu, subjects 1 to 3, 7,789 frames): 0.48 and
0.49 for the elbows, 0.51 and 0.53 for the knees. It is the sigma of greatest likelihood."""

SMPLIFY_SIGMA = 1 / (2**0.5 * 3.17)
"""What SMPLify-X and SPIN weigh the term with where their pose prior is a negative log-likelihood of weight 1: 3.17²
exp(angle)² = ½ r² (SMPLify-X, cfg_files/fit_smplx.yaml, bending prior at 3.17 times the pose prior; SPIN,
smplify/losses.py, 15.2 / 4.78). It is for use with a mixture prior as tight as theirs; beside `NearEstimate` alone it
bends a straight knee by half a radian."""


@dataclass(frozen=True)
class BendingLimits:
    """Pushes free elbows and knees away from bending backwards.

    Raises:
        InputError: `sigma` is not above zero.
    """

    sigma: float = SIGMA
    """Standard deviation of exp(angle), unitless."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: a joint does not escape."""

    def __post_init__(self) -> None:
        check_positive("sigma", torch.tensor(self.sigma), "unitless", "To switch the prior off leave it out.")

    def rows(self, index: Index) -> "BendingLimits":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 1), unitless, N free elbows and knees, and its Jacobian (B, N, 1, P) per unit step."""
        pose, names = state.bodies.pose, posed.body.joint_names
        slots = [slot for slot, joint in enumerate(unknowns.joints) if names[joint] in HINGES]
        joints = [unknowns.joints[slot] for slot in slots]
        hinges = [HINGES[names[joint]] for joint in joints]
        eye = torch.eye(3, dtype=pose.dtype, device=pose.device)
        bone = eye[[bone for bone, _, _ in hinges]]  # (N, 3)
        wrong = eye[[axis for _, axis, _ in hinges]] * pose.new_tensor([sign for _, _, sign in hinges])[:, None]
        angles, angles_by_step = swing_twist(pose[:, joints], bone)  # (B, N, 3) rad, (B, N, 3, 3)
        residual = _along(wrong, angles[..., None]).exp() / self.sigma  # (B, N, 1, 1)
        free = unknowns.free_joints(joints)
        if free is not None:
            residual = torch.where(free[..., None, None], residual, 0.0)
        blocks = residual * _along(wrong, angles_by_step)  # (B, N, 1, 3)
        slot = torch.tensor(slots, dtype=torch.long, device=pose.device)
        return Linearization(residual[..., 0], spread(blocks, slot, unknowns), self.kernel)


def _along(direction: Tensor, matrix: Tensor) -> Tensor:
    """Return direction (N, 3) @ matrix (B, N, 3, K) as (B, N, 1, K)."""
    return direction[:, None] @ matrix
