"""Trackers: sensors on joints whose place, rotation or vertical is measured (headsets, controllers, inertial sensors).

    place       (joint + G_j place_on_joint - position) / sigma_m
    turn        log(G_j turn_on_joint rotationᵀ) / sigma_rad
    vertical    (G_j up_on_joint - up) / sigma_rad                 what an accelerometer at rest tells: the way up

Rows: the K places, then the K turns, then the K verticals; what is not known is silent.

Source: Jiang et al., EgoPoser, ECCV 2024, eth-siplab/EgoPoser@3b1dbcdaef `prepare_data.py` (global rotation and
position of head and hands); Sola et al., A micro Lie theory (arXiv 1812.01537), eq. 143-146.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import PosedBody
from refine.check import check_finite, check_positive, check_shape
from refine.errors import InputError
from refine.geometry import rotation
from refine.state import State, Unknowns
from refine.terms import Huber, Kernel, Linearization
from refine.terms.correlation import INDEPENDENT, Correlation, check_witness
from refine.terms.orientation import check_rotations, joint_numbers, turned_by_step


@dataclass(frozen=True, eq=False)
class Trackers:
    """The term of K tracked joints.

    Attributes:
        joints: K names of joints.
        position: (B, K, 3) m, the bodies' frame.
        rotation: (B, K, 3, 3) rotations in the bodies' frame.
        up: (B, K, 3) unit vectors: the way up in the bodies' frame, (0, -1, 0) for a level camera.
        sigma_m: (B, K) m; infinite: the place is not known.
        sigma_rad: (B, K) rad; infinite: the rotation is not known.
        sigma_up: (B, K) rad; infinite: the vertical is not known.
        place_on_joint: (K, 3) m, the sensor in the joint's axes.
        turn_on_joint: (K, 3, 3) the sensor's axes in the joint's.
        up_on_joint: (B, K, 3) the measured way up in the joint's axes.

    Raises:
        InputError: Shapes disagree, a known value is not finite, a sigma is not above zero, or a matrix is no rotation.
    """

    joints: tuple[str, ...]
    position: Float[Tensor, "B K 3"]
    rotation: Float[Tensor, "B K 3 3"]
    up: Float[Tensor, "B K 3"]
    sigma_m: Float[Tensor, "B K"]
    sigma_rad: Float[Tensor, "B K"]
    sigma_up: Float[Tensor, "B K"]
    place_on_joint: Float[Tensor, "K 3"]
    turn_on_joint: Float[Tensor, "K 3 3"]
    up_on_joint: Float[Tensor, "B K 3"]
    kernel: Kernel = Huber(scale=3.0)
    """Quadratic up to 3 sigmas: trackers lose their place now and then, and have no other outliers."""
    correlation: Correlation = INDEPENDENT
    """How far its errors hang together over frames and views."""
    share: Float[Tensor, "B"] | None = None
    """Share of an independent observation that each body's rows are (`refine.method.witnesses`); None: one."""

    def __post_init__(self) -> None:
        sizes = check_shape("trackers.position", self.position, "B K 3", K=len(self.joints))
        check_shape("trackers.rotation", self.rotation, "B K 3 3", **sizes)
        check_shape("trackers.place_on_joint", self.place_on_joint, "K 3", K=sizes["K"])
        check_shape("trackers.turn_on_joint", self.turn_on_joint, "K 3 3", K=sizes["K"])
        for name, unit in (("sigma_m", "m"), ("sigma_rad", "rad"), ("sigma_up", "rad")):
            sigma = getattr(self, name)
            check_shape(f"trackers.{name}", sigma, "B K", **sizes)
            check_positive(f"trackers.{name}", sigma, unit, "Use infinity for what is not known.")
        for name in ("up", "up_on_joint"):
            check_shape(f"trackers.{name}", getattr(self, name), "B K 3", **sizes)
        for name in ("position", "rotation", "up", "up_on_joint"):
            check_finite(f"trackers.{name}", getattr(self, name), "Use an infinite sigma for what is not known.")
        check_rotations("trackers.rotation", self.rotation)
        check_rotations("trackers.turn_on_joint", self.turn_on_joint)
        check_witness("trackers", self.correlation, self.share, sizes["B"])

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        """Return residual (B, 3 K, 3), unitless, and its Jacobian (B, 3 K, 3, P) per unit step."""
        check_shape("Trackers.position", self.position, "B K 3", B=len(state))
        numbers = joint_numbers(posed, self.joints)
        joint, joint_by_step = posed.joints_with_jacobian(unknowns)
        turned = posed.rotations[:, list(numbers)]  # (B, K, 3, 3)
        omega = turned_by_step(posed, numbers, unknowns)  # (B, K, 3, P)
        arm = (turned @ self.place_on_joint[..., None].to(turned))[..., 0]
        place = joint[:, list(numbers)] + arm - self.position
        place_by_step = joint_by_step[:, list(numbers)] - rotation.cross_matrix(arm) @ omega
        angle = rotation.log(turned @ self.turn_on_joint.to(turned) @ self.rotation.mT)
        angle_by_step = rotation.right_jacobian_inverse(-angle) @ omega
        way = (turned @ self.up_on_joint[..., None].to(turned))[..., 0]
        way_by_step = -rotation.cross_matrix(way) @ omega
        scale = 1 / torch.cat((self.sigma_m, self.sigma_rad, self.sigma_up), 1).to(turned)[..., None]
        residual = torch.cat((place, angle, way - self.up), 1) * scale
        jacobian = torch.cat((place_by_step, angle_by_step, way_by_step), 1) * scale[..., None]
        return Linearization(residual, jacobian, self.kernel, part=self.share)


def trackers(
    joints: tuple[str, ...],
    *,
    position: Float[Tensor, "B K 3"] | None = None,
    rotation: Float[Tensor, "B K 3 3"] | None = None,
    up_on_joint: Float[Tensor, "B K 3"] | None = None,
    sigma_m: Float[Tensor, "B K"] | float = 0.01,
    sigma_rad: Float[Tensor, "B K"] | float = 0.05,
    sigma_up: Float[Tensor, "B K"] | float = 0.05,
    up: Float[Tensor, "3"] | None = None,
    place_on_joint: Float[Tensor, "K 3"] | None = None,
    turn_on_joint: Float[Tensor, "K 3 3"] | None = None,
    correlation: Correlation = INDEPENDENT,
) -> Trackers:
    """Build the term from what is measured of some joints.

    Args:
        joints: K names of joints ("head", "left_wrist", ...).
        position: (B, K, 3) m, the bodies' frame; NaN where it is not known. None: of none.
        rotation: (B, K, 3, 3) rotations in the bodies' frame; NaN where not known.
        up_on_joint: (B, K, 3) the way up that an accelerometer at rest shows, in the joint's axes, any length; NaN
            where not known.
        sigma_m: m, of each or (B, K). A centimetre is what a headset's controllers have, and a wrist's strap.
        sigma_rad: rad, of each or (B, K).
        sigma_up: rad, of each or (B, K).
        up: (3,) the way up in the bodies' frame; None: (0, -1, 0), a level camera's.
        place_on_joint: (K, 3) m, the sensor in the joint's axes; None: at the joint.
        turn_on_joint: (K, 3, 3) the sensor's axes in the joint's; None: the same.
        correlation: How far the errors hang together over frames and views.

    Raises:
        InputError: Nothing is measured, or shapes disagree.
    """
    given = [each for each in (position, rotation, up_on_joint) if each is not None]
    if not given:
        raise InputError("trackers", "position, rotation or up_on_joint", "none of them")
    like, count = given[0], len(joints)
    people = len(like)
    eye = torch.eye(3).to(like)

    def known(value: Tensor | None, sigma: Tensor | float, usual: Tensor) -> tuple[Tensor, Tensor]:
        whole = usual.expand(people, count, *usual.shape)
        width = torch.as_tensor(sigma).to(like).expand(people, count)
        if value is None:
            return whole, torch.full_like(width, torch.inf)
        check_shape("trackers", value, " ".join(("B", "K", *map(str, usual.shape))), B=people, K=count)
        there = value.isfinite().flatten(2).all(2)
        lift = there.reshape(people, count, *[1] * usual.dim())
        return torch.where(lift, value, whole), torch.where(there, width, torch.inf)

    way = like.new_tensor([0.0, -1.0, 0.0]) if up is None else torch.nn.functional.normalize(up.to(like), dim=0)
    place, of_place = known(position, sigma_m, torch.zeros_like(way))
    turn, of_turn = known(rotation, sigma_rad, eye)
    on_joint, of_up = known(up_on_joint, sigma_up, way)
    return Trackers(
        joints, place, turn, way.expand(people, count, 3), of_place, of_turn, of_up,
        like.new_zeros(count, 3) if place_on_joint is None else place_on_joint.to(like),
        eye.expand(count, 3, 3) if turn_on_joint is None else turn_on_joint.to(like),
        torch.nn.functional.normalize(on_joint, dim=-1), correlation=correlation,
    )  # fmt: skip
