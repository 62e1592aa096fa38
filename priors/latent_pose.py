"""How people's joints are bent together: a network that squeezes a pose into few numbers and unfolds it again.

    z = μ(R)                                       encoder's mean
    residual = [ z,   log(D_j(z)ᵀ R_j) / sigma_rad_j / s ]          Z numbers, then three a joint

½ ‖residual‖² is -log p(R, z) at the encoder's z, up to a constant: z is standard normal by how the network is trained,
and R is unfolded from z with an error of `sigma_rad`. It is never below the least -log p(R, z) over all z, which
SMPLify-X finds by making z the unknown; here the pose stays the unknown, so that any evidence can be told to any joint,
and two forces act: towards the poses the network can unfold, and along them towards the middle.

Source: Kingma and Welling, Auto-encoding variational Bayes, 2014, eq. 2; Pavlakos et al., Expressive body capture
(SMPLify-X), 2019, sec. 3.3 (VPoser). Derivative: the chain of `priors.layers` and `priors.six_numbers`, closed by the
right Jacobian (Sola et al., arXiv 1812.01537, eq. 144).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from priors.latent_file import JOINTS, LatentParts, find_latent, read_latent
from priors.layers import Layer, check_layers, input_to_output, output_by_input, run
from priors.prior_file import FOLDER, TRUNK_AND_LIMBS, naming
from priors.six_numbers import rotation_of
from refine.batch import Index
from refine.body import PosedBody
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Kernel, LeastSquares, Linearization

AXIS_ANGLE, MATRIX = 3, 9
"""Numbers a joint an encoder may want: the axis-angle vector, or the rotation matrix row by row."""


@dataclass(frozen=True, eq=False)
class LatentPose:
    """Pulls the pose of trunk and limbs towards poses a network has learnt to unfold.

    Attributes:
        encoder: Layers from 21 joints (3 or 9 numbers each) to Z.
        decoder: Layers from Z to 21 joints (6 numbers each, see `priors.six_numbers`).
        sigma_rad: (21,) standard deviation per axis of what unfolding loses, rad.

    Raises:
        InputError: The layers do not go together, a value is not finite, or `sigma_rad` or `sigma_scale` is not above
            zero.
    """

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    sigma_rad: Float[Tensor, "J"]
    sigma_scale: float = 1.0
    """s: the standard deviations of what unfolding loses times this (unitless)."""
    kernel: Kernel = field(default_factory=LeastSquares)
    """No robustness: its norm is the whole pose's."""

    def __post_init__(self) -> None:
        check_layers("encoder", self.encoder)
        check_layers("decoder", self.decoder)
        width, latent = self.encoder[0].weight.shape[1], self.encoder[-1].weight.shape[0]
        if width not in (AXIS_ANGLE * JOINTS, MATRIX * JOINTS):
            wanted = f"{AXIS_ANGLE * JOINTS} or {MATRIX * JOINTS} inputs ({JOINTS} joints)"
            raise InputError("encoder", wanted, f"{width}", "A prior of another model?")
        got = (self.decoder[0].weight.shape[1], self.decoder[-1].weight.shape[0])
        if got != (latent, 6 * JOINTS):
            wanted = f"a network from the encoder's {latent} numbers to {6 * JOINTS} (six a joint)"
            raise InputError("decoder", wanted, f"one from {got[0]} to {got[1]}", "A prior of another model?")
        check_shape("sigma_rad", self.sigma_rad, "J", J=JOINTS)
        check_positive("sigma_rad", self.sigma_rad, "rad")
        check_finite("sigma_rad", self.sigma_rad)
        check_positive(
            "sigma_scale", torch.tensor(self.sigma_scale), "unitless", "To switch the prior off leave it out."
        )

    @classmethod
    def read(cls, path: str | Path) -> "LatentPose":
        """Read a prior: this library's .safetensors, a checkpoint of VPoser v1 (.pt) or v2 (.ckpt), or its folder.

        Args:
            path: The file or folder. Nothing in a checkpoint is executed; `human_body_prior` is not needed.

        Raises:
            InputError: There is none, a tensor is missing or of another shape, or the file is damaged.
        """
        path = find_latent(path)
        parts = read_latent(path)
        with naming(path.name):
            return cls(*parts)

    @property
    def parts(self) -> LatentParts:
        """What a file holds; `sigma_scale` and `kernel` are settings of a use."""
        return LatentParts(self.encoder, self.decoder, self.sigma_rad)

    @classmethod
    def shipped(cls) -> "LatentPose":
        """Return the network that ships with the library (`priors/data/README.md` says what it was learnt from)."""
        return cls.read(FOLDER / "pose_latent.safetensors")

    def rows(self, index: Index) -> "LatentPose":
        """Return the same for some of the bodies: it holds for everybody alike."""
        return self

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 1, Z + 63), unitless, and its Jacobian (B, 1, Z + 63, P) per unit step.

        Args:
            state: B bodies; joints that are not free count with the value they have.
            posed: The same bodies, posed.
            unknowns: P columns.

        Raises:
            InputError: The body lacks a joint of trunk or limbs.
        """
        joints = _joints_of(posed.body.joint_names)
        place = {joint: slot for slot, joint in enumerate(unknowns.joints)}
        free = [row for row, joint in enumerate(joints) if joint in place]
        pose = state.bodies.pose
        local, count = pose[:, list(joints)], len(pose)
        encoder, decoder, sigma = _moved(self, pose.dtype, pose.device)
        given, given_by_step = _features(local, encoder[0].weight.shape[1] // JOINTS, free)
        latent, gates = run(encoder, given)  # (B, Z)
        latent_by_given = output_by_input(encoder, gates, count).unflatten(2, (JOINTS, -1))[:, :, free]
        latent_by_step = torch.einsum("bzjf,bjfc->bzjc", latent_by_given, given_by_step).flatten(2)  # (B, Z, 3 F)

        six, gates = run(decoder, latent)
        unfolded, turn = rotation_of(six.unflatten(1, (JOINTS, 6)))  # (B, 21, 3, 3), (B, 21, 3, 6)
        six_by_latent = input_to_output(decoder, gates, count).unflatten(2, (JOINTS, 6))  # (B, Z, 21, 6)
        turn_by_latent = torch.einsum("bjcs,bzjs->bjcz", turn, six_by_latent)  # (B, 21, 3, Z) rad
        between = unfolded.mT @ local
        away = rotation.log(between)  # (B, 21, 3) rad
        inverse = rotation.right_jacobian_inverse(away) / sigma[:, None, None]  # (B, 21, 3, 3) 1/rad
        by_latent = -(inverse @ between.mT) @ turn_by_latent  # (B, 21, 3, Z)
        by_step = (by_latent.flatten(1, 2) @ latent_by_step).unflatten(1, (JOINTS, 3)).unflatten(3, (len(free), 3))
        order = torch.arange(len(free), device=pose.device)
        by_step[:, free, :, order] += inverse[:, free].transpose(0, 1)  # advanced indices come first

        residual = torch.cat((latent, (away / sigma[:, None]).flatten(1)), 1)
        jacobian = pose.new_zeros(count, 1, residual.shape[1], unknowns.size)
        columns = [3 * place[joints[row]] + axis for row in free for axis in range(3)]
        if columns:
            where = torch.tensor(columns, device=pose.device)
            jacobian[:, 0, :, where] = torch.cat((latent_by_step, by_step.flatten(3).flatten(1, 2)), 1)
        return Linearization(residual[:, None], jacobian, self.kernel)


def _joints_of(body_names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the indices of trunk and limbs among a body's joints."""
    lacking = [name for name in TRUNK_AND_LIMBS if name not in body_names]
    if lacking:
        wanted = f"a body with the joints {', '.join(TRUNK_AND_LIMBS)}"
        raise InputError("LatentPose", wanted, f"one without {', '.join(lacking)}", "Leave this prior out.")
    return tuple(body_names.index(name) for name in TRUNK_AND_LIMBS)


def _features(local: Tensor, each: int, free: list[int]) -> tuple[Tensor, Tensor]:
    """Return the encoder's input (B, 21 · each), and its derivative by a step of the free joints (B, F, each, 3)."""
    if each == AXIS_ANGLE:
        turn = rotation.log(local)
        return turn.flatten(1), rotation.right_jacobian_inverse(turn[:, free])
    generators = rotation.cross_matrix(torch.eye(3, dtype=local.dtype, device=local.device))  # (3, 3, 3)
    by_step = torch.einsum("bjik,ckl->bjilc", local[:, free], generators)  # R [e_c]x
    return local.flatten(1), by_step.flatten(2, 3)


@lru_cache(maxsize=8)
def _moved(
    prior: LatentPose, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Layer, ...], tuple[Layer, ...], Tensor]:
    """Return the networks and sigma_rad · sigma_scale in the bodies' type, moved once instead of at every step."""
    encoder, decoder = (tuple(layer.to(dtype, device) for layer in part) for part in (prior.encoder, prior.decoder))
    return encoder, decoder, prior.sigma_rad.to(device, dtype) * prior.sigma_scale
