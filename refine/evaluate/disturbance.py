"""Estimates of known strength: bodies disturbed the way regressors err, drawn by seed.

    pose <- pose exp(scale sigma_j n_j),   shape <- shape + scale sigma n,
            pelvis <- (pelvis + scale sigma n) exp(scale sigma_depth n)

Rotations are local, so their errors add up down each chain. One number, `scale`, stands for the strength; it is chosen
so that the mean PA-MPJPE of the 22 body joints over people and seeds is the strength's number in millimetres.

Strengths: weak 80, medium 50, strong 30, near 10, perfect 0 mm. The sigmas below are those of a medium estimate before
scaling; their proportions are a judgement: what regressors of 50 mm PA-MPJPE (HMR 2.0 on 3DPW: 44 to 54 mm) get wrong
most is the limbs' ends, the orientation against the camera and the distance, and hands not at all trained.

Source: HMR 2.0: Goel et al., Humans in 4D, ICCV 2023, table 1 (the level); the model itself is ours.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.check import check_shape
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.evaluate import metrics
from refine.geometry import rotation
from refine.state import State

PA_MPJPE_MM = {"weak": 80.0, "medium": 50.0, "strong": 30.0, "near": 10.0, "perfect": 0.0}
"""What each strength means: mean PA-MPJPE (mm) of the body joints."""

SCALE = {"weak": 1.246, "medium": 0.773, "strong": 0.463, "near": 0.154, "perfect": 0.0}
"""Calibrated for the built-in body by `python -m refine.evaluate.disturbance`."""

SIGMA_RAD = {
    "pelvis": 0.15,
    "spine1": 0.08,
    "spine2": 0.08,
    "spine3": 0.08,
    "neck": 0.12,
    "head": 0.15,
    "collar": 0.08,
    "shoulder": 0.20,
    "elbow": 0.28,
    "wrist": 0.30,
    "hip": 0.14,
    "knee": 0.22,
    "ankle": 0.25,
    "foot": 0.15,
}
"""Standard deviation per axis (rad) of a medium estimate's local rotations before scaling, left and right alike."""
FINGER_SIGMA_RAD = 0.20
"""For joints not named above but the face's: fingers, which regressors of bodies leave at rest or guess."""
FACE = ("jaw", "left_eye_smplhf", "right_eye_smplhf", "left_eye", "right_eye")
"""Joints that are not disturbed: no keypoint or silhouette error comes from them."""
SIGMA_SHAPE = 0.5
"""Of each coefficient: half a standard deviation of the population."""
SIGMA_ACROSS_M = 0.03
"""Of the pelvis across the view (regressors align the body in the photo to a few per cent of its height)."""
SIGMA_LOG_DEPTH = 0.05
"""Of the logarithm of the distance: size and distance are hard to tell apart."""


def disturb(body: SkinnedBody, state: State, strength: str, seeds: Sequence[int]) -> State:
    """Return the state as a regressor of the given strength might see it.

    Args:
        body: The model of the state's bodies.
        state: B true bodies with their cameras; the bodies must lie in the camera frame.
        strength: "weak", "medium", "strong", "near" or "perfect".
        seeds: One seed a body: the same body and seed give the same estimate in every batch and on every device.

    Returns:
        The estimate; the cameras are the same.

    Raises:
        InputError: The strength is unknown, or there is not one seed a body.
    """
    if strength not in SCALE:
        raise InputError("strength", f"one of {', '.join(SCALE)}", repr(strength))
    return disturb_by(body, state, SCALE[strength], seeds)


def disturb_by(body: SkinnedBody, state: State, scale: float, seeds: Sequence[int]) -> State:
    """Return the state disturbed by a multiple of the medium sigmas; see `disturb`.

    Args:
        body: The model.
        state: B bodies with their cameras.
        scale: Multiple, 0 or more.
        seeds: One seed a body.

    Raises:
        InputError: There is not one seed a body.
    """
    if len(seeds) != len(state):
        raise InputError("seeds", f"one a body, {len(state)}", str(len(seeds)))
    bodies = state.bodies
    drawn = [_draw(seed, len(body.joint_names), bodies.shape.shape[1]) for seed in seeds]
    turn, grow, move, recede = (scale * torch.stack(each).to(bodies.pose) for each in zip(*drawn, strict=True))
    sigma = joint_sigma_rad(body.joint_names).to(bodies.pose)
    pelvis = pose_body(body, bodies).joints[:, 0]
    shape = bodies.shape + SIGMA_SHAPE * grow
    across = SIGMA_ACROSS_M * move * move.new_tensor([1.0, 1.0, 0.0])
    pelvis = (pelvis + across) * (SIGMA_LOG_DEPTH * recede).exp()
    moved = replace(bodies, pose=bodies.pose @ rotation.exp(sigma[:, None] * turn), shape=shape)
    return State(
        replace(moved, translation=bodies.translation + pelvis - pose_body(body, moved).joints[:, 0]), state.camera
    )


def as_estimate(body: SkinnedBody, state: State, image_index: Int[Tensor, "B"] | None = None) -> Estimate:
    """Return bodies as if a regressor had said them.

    Args:
        body: The model.
        state: B bodies.
        image_index: (B,) which photo each is in; None: body b in photo b.
    """
    bodies = state.bodies
    index = torch.arange(len(state)) if image_index is None else image_index
    source = Source("memory", body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    return Estimate(body, state, index.to(bodies.pose.device), source)


def joint_sigma_rad(joint_names: tuple[str, ...]) -> Float[Tensor, "J"]:
    """Return the medium estimate's standard deviation of each joint before scaling: (J,) rad, float64."""

    def look_up(name: str) -> float:
        plain = name.removeprefix("left_").removeprefix("right_")
        return 0.0 if name in FACE else SIGMA_RAD.get(plain, FINGER_SIGMA_RAD)

    return torch.tensor([look_up(name) for name in joint_names], dtype=torch.float64)


def _draw(seed: int, joints: int, shapes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Standard normal numbers of one body, on the CPU in float64 so that every device sees the same."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((joints, 3), (shapes,), (3,), (1,))
    turn, grow, move, recede = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in sizes)
    return turn, grow, move, recede


def strength_of(body: SkinnedBody, estimate: State, true: State) -> Float[Tensor, "B"]:
    """Return the PA-MPJPE of the body joints.

    Args:
        body: The model.
        estimate: B bodies.
        true: The same bodies, true.

    Returns:
        (B,) mm.
    """
    check_shape("true.bodies.pose", true.bodies.pose, "B J 3 3", B=len(estimate))
    joints, true_joints = (pose_body(body, each.bodies).joints[:, :BODY_JOINTS] for each in (estimate, true))
    return metrics.pa_mpjpe(joints, true_joints)


def calibrate(body: SkinnedBody, true: State, draws: int = 16, halvings: int = 20) -> dict[str, float]:
    """Find the scale at which each strength's mean PA-MPJPE is its number.

    Args:
        body: The model.
        true: B true bodies, as different as the people to come.
        draws: Seeds per body.
        halvings: Of the interval 0..4 the scale is sought in.

    Returns:
        Scale by strength.
    """
    many = true[torch.arange(len(true)).repeat(draws)]
    seeds = range(len(many))
    found = {}
    for strength, wanted in PA_MPJPE_MM.items():
        low, high = 0.0, 4.0
        for _ in range(halvings):
            middle = (low + high) / 2
            measured = float(strength_of(body, disturb_by(body, many, middle, seeds), many).mean())
            low, high = (middle, high) if measured < wanted else (low, middle)
        found[strength] = high if wanted else 0.0
    return found


if __name__ == "__main__":
    from refine.body import anny
    from refine.evaluate.people import people

    model = anny.load()
    for label, value in calibrate(model, people(model, count=64)).items():
        print(f"{label}: {value:.3f}")
