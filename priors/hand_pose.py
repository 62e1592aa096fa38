"""Hands are held as hands are: few directions around a mean hand, by the free finger joints of both sides.

    residual[b] = L⁻¹ (pose[b] - mean),   L Lᵀ = covariance over the free joints' axes       pose: rotation vectors, rad

With all 15 joints of a hand free, ½ |residual|² is that of the coefficients in sigmas, ½ Σ (c_k / std_k)², plus that of
what lies outside the subspace, ½ |rest|² / sigma_rest_rad² (`priors.hand_space`). Joints that are not free are left out
of the distribution (the marginal of the others): a finger held straight only because nothing sees it says nothing about
its neighbour.

Source: Romero, Tzionas and Black, Embodied Hands, ACM TOG 36(6), 2017, sec. 3.3; Pavlakos et al., SMPLify-X, CVPR 2019,
sec. 3.2 (the prior on hand poses).
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from priors.hand_space import COMPONENTS, JOINTS, HandSpace, Side, anatomy, read_hand_spaces
from refine.batch import Index
from refine.body import PosedBody
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization


@dataclass(frozen=True)
class HandPose:
    """Pulls the free finger joints to the poses hands take. A body without fingers has no rows.

    Free finger joints need it: keypoints of a hand see a finger from one side, and its depth hardly.
    """

    left: HandSpace = field(default_factory=anatomy)
    """Poses of the left hand; by default the built-in anatomy's."""
    right: HandSpace | None = None
    """Poses of the right hand; None: the left ones mirrored."""
    kernel: Kernel = field(default_factory=LeastSquares)

    @classmethod
    def read(cls, path: Path | str, count: int = COMPONENTS, *, side: Side | None = None) -> "HandPose":
        """Return the prior of a model file the user has (see `priors.hand_space.read_hand_spaces`).

        Args:
            path: An official SMPL-X, SMPL-H or MANO file.
            count: Components that are kept.
            side: Which hand a MANO file holds; None: as its name says.

        Raises:
            InputError: The file is missing, damaged or hostile, or holds no hand poses.
        """
        left, right = read_hand_spaces(path, count, side=side)
        return cls(left, right)

    def rows(self, index: Index) -> "HandPose":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, N, 1), three rows a free finger joint, and its Jacobian (B, N, 1, P) per unit step."""
        pose, names = state.bodies.pose, posed.body.joint_names
        right = self.left.mirrored() if self.right is None else self.right
        residuals, jacobians = [], []
        for side, space in (("left", self.left), ("right", right)):
            place = {f"{side}_{name}": index for index, name in enumerate(JOINTS)}
            slots = [slot for slot, joint in enumerate(unknowns.joints) if names[joint] in place]
            joints = [unknowns.joints[slot] for slot in slots]
            entry = _entries([place[names[joint]] for joint in joints])
            free = unknowns.free_joints(joints)
            free = torch.ones(1, len(joints), dtype=torch.bool) if free is None else free
            whiten, mean = _whitening(space, entry, free)
            whiten, mean = whiten.to(pose), mean.to(pose)
            vector = rotation.log(pose[:, joints])  # (B, F, 3) rad
            by_step = rotation.right_jacobian_inverse(vector)  # (B, F, 3, 3)
            each = whiten.unflatten(2, (-1, 3)).expand(len(pose), -1, -1, -1)
            block = torch.einsum("bnfk,bfkl->bnfl", each, by_step).flatten(2)  # (B, 3F, 3F)
            jacobian = pose.new_zeros(len(pose), len(entry), unknowns.size)
            jacobian[:, :, _entries(slots).to(pose.device)] = block
            residuals.append((whiten @ (vector.flatten(1) - mean)[..., None])[..., 0])
            jacobians.append(jacobian)
        return Linearization(torch.cat(residuals, 1)[..., None], torch.cat(jacobians, 1)[:, :, None], self.kernel)


def _entries(places: list[int]) -> Tensor:
    """Return the three entries of each place, (3F,)."""
    return (3 * torch.tensor(places, dtype=torch.long)[:, None] + torch.arange(3)).flatten()


def _whitening(space: HandSpace, entry: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Return L⁻¹ (B, 3F, 3F), rows of joints not free (B, F) zero, and the mean (3F,) of some entries of a hand's pose.

    Float64 on the CPU. Bodies that have the same joints free share one factorisation.
    """
    patterns, which = free[:1].cpu().repeat_interleave(3, 1), torch.zeros(len(free), dtype=torch.long)
    if len(free) > 1 and free.shape[1]:
        patterns, which = free.cpu().repeat_interleave(3, 1).unique(dim=0, return_inverse=True)  # (U, 3F), (B,)
    both = patterns[:, :, None] & patterns[:, None]
    eye = torch.eye(len(entry), dtype=torch.float64)
    covariance = space.covariance().detach().cpu().double()[entry[:, None], entry]
    root = torch.linalg.cholesky(torch.where(both, covariance, eye))  # the others' marginal, beside a unit diagonal
    whiten = torch.where(both, torch.linalg.solve_triangular(root, eye.expand_as(root), upper=False), 0.0)
    return whiten[which], space.mean.detach().cpu().double()[entry]
