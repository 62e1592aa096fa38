"""How people's joints are bent together: a mixture of Gaussians over the pose, of which the likeliest one pulls.

    θ = (log R_1, ..., log R_J)                      axis-angle of the local rotations, root left out, rad
    cost_k   = ½ ‖r_k‖² + c_k,   r_k = W_k (θ - μ_k) / s,   W_kᵀ W_k = Σ_k⁻¹
    c_k      = ½ log det Σ_k - log w_k - min over all components
    residual = r_k of the cheapest k,   constant = its c_k

Without the constants c the tight components never win where they should: a wide Gaussian is nearer in sigmas
everywhere. The least constant is taken off so that costs are not negative. Joints a body lacks are marginalised out:
rows and columns are taken out of Σ, not of its inverse.

Source: Olson and Agarwal, Inference on networks of mixtures for robust robot mapping, IJRR 32(7), 2013, eq. 8
(max-mixture); Bogo et al., SMPLify, 2016, eq. 5 (over poses of SMPL).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from priors.mixture_file import MixtureParts, read_mixture
from priors.prior_file import FOLDER, TRUNK_AND_LIMBS, naming
from refine.batch import Index
from refine.body import PosedBody
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

SUM_TOLERANCE = 1e-3
"""Of the weights around 1: what single precision and rounding in files leave. They are normalised."""

SYMMETRY_TOLERANCE = 1e-3
"""Of a covariance, in units of its largest entry."""


@dataclass(frozen=True, eq=False)
class GaussianMixturePose:
    """Pulls the pose of trunk and limbs towards poses people have been recorded in.

    Attributes:
        weight: (K,) share of each component; they sum to 1.
        mean: (K, 3 J) rad.
        covariance: (K, 3 J, 3 J) rad².
        joint_names: J names: `TRUNK_AND_LIMBS`, then any others.

    Raises:
        InputError: The parts do not go together, a value is not finite, weights are not positive or do not sum to one,
            a covariance is not symmetric and positive definite, or `sigma_scale` is not above zero.
    """

    weight: Float[Tensor, "K"]
    mean: Float[Tensor, "K D"]
    covariance: Float[Tensor, "K D D"]
    joint_names: tuple[str, ...] = TRUNK_AND_LIMBS
    sigma_scale: float = 1.0
    """s: all standard deviations times this (unitless). Above 1 the prior is softer than it was learnt."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: its norm is the whole pose's, and the mixture already forgives what another component explains."""

    def __post_init__(self) -> None:
        names, joints = self.joint_names, len(self.joint_names)
        if names[: len(TRUNK_AND_LIMBS)] != TRUNK_AND_LIMBS or len(set(names)) != joints:
            raise InputError("joint_names", f"{', '.join(TRUNK_AND_LIMBS)}, then any others", ", ".join(names))
        sizes = check_shape("mean", self.mean, "K D", D=3 * joints)
        check_shape("weight", self.weight, "K", **sizes)
        check_shape("covariance", self.covariance, "K D D", **sizes)
        for name, part in (("weight", self.weight), ("mean", self.mean), ("covariance", self.covariance)):
            check_finite(name, part, "Is the file complete?")
        check_positive("weight", self.weight, "a share", "Leave a component without weight out.")
        check_positive(
            "sigma_scale", torch.tensor(self.sigma_scale), "unitless", "To switch the prior off leave it out."
        )
        total = float(self.weight.sum())
        if abs(total - 1) > SUM_TOLERANCE:
            raise InputError("weight", "shares that sum to 1", f"a sum of {total:g}", "Divide them by their sum.")
        double = self.covariance.double()
        skew = (double - double.mT).abs().amax((1, 2)) > SYMMETRY_TOLERANCE * double.abs().amax((1, 2))
        failed = torch.linalg.cholesky_ex(0.5 * (double + double.mT)).info != 0
        if bool((skew | failed).any()):
            first = int((skew | failed).nonzero()[0, 0])
            got = f"component {first}, which is not {'symmetric' if bool(skew[first]) else 'positive definite'}"
            raise InputError("covariance", "symmetric, positive definite matrices", got, "Learn the mixture again.")

    @classmethod
    def read(cls, path: str | Path) -> "GaussianMixturePose":
        """Read a mixture: this library's .safetensors, or SMPLify's `gmm_08.pkl` (nothing in it is executed).

        Args:
            path: The file.

        Raises:
            InputError: There is no such file, it is damaged or hostile, is of another kind, or holds a mixture that is
                none.
        """
        path = Path(path).expanduser()
        parts = read_mixture(path)
        with naming(path.name):
            return cls(*parts)

    @property
    def parts(self) -> MixtureParts:
        """What a file holds; `sigma_scale` and `kernel` are settings of a use."""
        return MixtureParts(self.weight, self.mean, self.covariance, self.joint_names)

    @classmethod
    def shipped(cls) -> "GaussianMixturePose":
        """Return the mixture that ships with the library (`priors/data/README.md` says what it was learnt from)."""
        return cls.read(FOLDER / "pose_mixture.safetensors")

    def rows(self, index: Index) -> "GaussianMixturePose":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, D), its Jacobian (B, 1, D, P) per unit step, and the component's constant (B,).

        Args:
            state: B bodies; joints that are not free count with the value they have.
            posed: The same bodies, posed.
            unknowns: P columns.

        Raises:
            InputError: The body lacks a joint of trunk or limbs.
        """
        pose = state.bodies.pose
        rows, joints = self._joints_of(posed.body.joint_names)
        mean, whiten, constant = _marginal(self, rows, pose.dtype, pose.device)
        turn = rotation.log(pose[:, list(joints)])  # (B, J, 3) rad
        away = (turn.flatten(1)[:, None] - mean) / self.sigma_scale  # (B, K, D) rad
        each = torch.einsum("kij,bkj->bki", whiten, away)  # (B, K, D)
        best = (0.5 * (each * each).sum(-1) + constant).argmin(1)  # (B,)
        residual = each[torch.arange(len(each), device=best.device), best]  # (B, D)
        jacobian = pose.new_zeros(len(pose), 1, residual.shape[1], unknowns.size)
        place = {joint: slot for slot, joint in enumerate(unknowns.joints)}
        free = [row for row, joint in enumerate(joints) if joint in place]
        if free:
            columns = torch.tensor([3 * place[joints[row]] + axis for row in free for axis in range(3)])
            by_turn = whiten.unflatten(2, (-1, 3))[:, :, free][best]  # (B, D, F, 3)
            turn_by_step = rotation.right_jacobian_inverse(turn[:, free]) / self.sigma_scale  # (B, F, 3, 3)
            by_step = torch.einsum("bdfi,bfij->bdfj", by_turn, turn_by_step)
            jacobian[:, 0, :, columns.to(pose.device)] = by_step.flatten(2)
        return Linearization(residual[:, None], jacobian, self.kernel, constant[best])

    def _joints_of(self, body_names: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return which of the mixture's joints the body has, and their indices among the body's."""
        lacking = [name for name in TRUNK_AND_LIMBS if name not in body_names]
        if lacking:
            wanted = f"a body with the joints {', '.join(TRUNK_AND_LIMBS)}"
            raise InputError(
                "GaussianMixturePose", wanted, f"one without {', '.join(lacking)}", "Leave this prior out."
            )
        rows = tuple(row for row, name in enumerate(self.joint_names) if name in body_names)
        return rows, tuple(body_names.index(self.joint_names[row]) for row in rows)


@lru_cache(maxsize=16)
def _marginal(
    mixture: GaussianMixturePose, rows: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (K, D), whitening (K, D, D), constant (K,) over some joints; computed once, in double precision."""
    axes = [3 * row + axis for row in rows for axis in range(3)]
    covariance = mixture.covariance.double().cpu()[:, axes][:, :, axes]
    factor = torch.linalg.cholesky(0.5 * (covariance + covariance.mT))  # lower: Σ = C Cᵀ, W = C⁻¹
    eye = torch.eye(len(axes), dtype=torch.float64).expand_as(factor)
    whiten = torch.linalg.solve_triangular(factor, eye, upper=False)
    weight = mixture.weight.double().cpu()
    half_log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
    constant = half_log_det - (weight / weight.sum()).log()
    parts = (mixture.mean.double().cpu()[:, axes], whiten, constant - constant.min())
    mean, whiten, constant = (part.to(device=device, dtype=dtype) for part in parts)
    return mean, whiten, constant
