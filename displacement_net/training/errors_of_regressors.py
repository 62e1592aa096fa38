"""Estimates as regressors err: from no error at all to a wrong limb, magnitudes log-uniform.

    pose <- pose exp(scale sigma_j n_j),  shape <- shape + scale sigma n,
            pelvis <- (pelvis + scale sigma n) exp(scale sigma_depth n)

Rotations are local, so errors add up down each chain. The proportions of the sigmas are those of
`refine.evaluate.disturbance`, whose medium estimate has a scale of 0.77; here the scale is log-uniform over `SCALES`,
small for a fifth and exactly zero for a share, because later rounds and good estimates must be in the training set. Now
and then a limb is wrong, or left and right are swapped. The estimate's camera may have another focal length than the
photo's (regressors assume one): the body then stands farther away by the same factor.

Held against real regressors: where keypoint fits with loose priors turned the joints of BEV's two people and ROMP's one
(root mean square, degrees): root 5 and 8, spine 2 to 3, shoulders 14 and 30, elbows 26 and 51, wrists 26, hips 15,
knees 13; across the view 3 to 7 cm. The medium estimate here has 12, 6, 15, 22, 23, 11, 17. Three people, turns along
the view unseen (ROMP's keypoints were marked by eye): they bear the proportions out, arms far worse than trunks, and
one arm of three quite wrong, which `WRONG_LIMB` stands for.

Source: the proportions: `refine.evaluate.disturbance`; swapped limbs and assumed focal lengths: Pavlakos et al.,
Expressive Body Capture, CVPR 2019, sec. 3; Kissos et al., Beyond Weak Perspective (arXiv 2009.06549), sec. 3.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.evaluate.casting import ADULT_SHAPES
from refine.evaluate.disturbance import SIGMA_ACROSS_M, SIGMA_LOG_DEPTH, SIGMA_SHAPE, joint_sigma_rad
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import Bodies, State

SCALES = (0.1, 2.0)
"""Least and largest multiple of the sigmas: 1.25 is a weak estimate (80 mm PA-MPJPE), 0.15 one of 10. Median 0.45."""
NEARLY, NEARLY_SCALES = 0.2, (0.01, 0.12)
"""Share of estimates that need hardly anything, as the last of several rounds does, and their log-uniform multiples."""
PERFECT = 0.07
"""Share of estimates without any error."""
WRONG_LIMB, WRONG_LIMB_RAD = 0.12, 0.9
"""Share of estimates with one limb far off, and the standard deviation per axis of its upper two joints, rad."""
SWAPPED = 0.03
"""Share of estimates whose arms or legs are swapped."""
OTHER_FOCAL, FOCAL_FACTORS = 0.4, (0.7, 8.0)
"""Share of estimates under another focal length, and its factors, log-uniform (HMR: 5000 of 224 px)."""
LIMBS = (
    ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"), ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
)  # fmt: skip
SWAPS = (
    ("collar", "shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot"),
)  # fmt: skip
CHILD_SHARE = (0.2, 1.0)
"""How much of a child an estimate sees in one, uniform: regressors know adults' bodies, and put them farther away."""
NEAREST_M = 0.6
"""An estimate's pelvis is never nearer to the camera, m."""
FARTHEST_M = 80.0
"""Nor farther: single precision would tell."""


def estimate_of(body: SkinnedBody, true: State, rng: np.random.Generator) -> State:
    """Return what a regressor might say of true bodies.

    Args:
        body: The model.
        true: B bodies with their cameras, camera frame.
        rng: Draws everything, the same on every device.

    Returns:
        B disturbed bodies with the cameras they are seen by.
    """
    bodies, count, joints = true.bodies, len(true), len(body.joint_names)
    like = bodies.pose

    def drawn(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(like)

    low, high = np.log(SCALES)
    scale = np.exp(rng.uniform(low, high, count))
    least, most = np.log(NEARLY_SCALES)
    nearly = rng.random(count) < NEARLY
    scale = np.where(nearly, np.exp(rng.uniform(least, most, count)), scale) * (rng.random(count) >= PERFECT)
    turn = rng.standard_normal((count, joints, 3)) * joint_sigma_rad(body.joint_names).numpy()[:, None]
    turn *= scale[:, None, None]
    _wrong_limbs(turn, np.where(nearly, 0.0, scale), body.joint_names, rng)
    shape = bodies.shape + drawn(SIGMA_SHAPE * scale[:, None] * rng.standard_normal((count, bodies.shape.shape[1])))
    younger = np.where(scale > 0, rng.uniform(*CHILD_SHARE, count), 1.0)
    shape[:, ADULT_SHAPES:] = bodies.shape[:, ADULT_SHAPES:] * drawn(younger)[:, None]
    pelvis = pose_body(body, bodies).joints[:, 0]
    across = SIGMA_ACROSS_M * rng.standard_normal((count, 3)) * scale[:, None] * (1.0, 1.0, 0.0)
    recede = np.exp(SIGMA_LOG_DEPTH * scale * rng.standard_normal(count))[:, None]
    pelvis = (pelvis + drawn(across)) * drawn(recede)
    pelvis = pelvis * (_height(body, shape) / _height(body, bodies.shape))[:, None]  # a larger body stands farther away
    pose = _swapped(bodies.pose, body.joint_names, np.where(nearly, 0.0, scale), rng) @ rotation.exp(drawn(turn))
    camera, factor = _assumed(true.camera, rng, scale)
    pelvis = torch.cat((pelvis[:, :2], (pelvis[:, 2:] * factor).clamp(NEAREST_M, FARTHEST_M)), 1)
    moved = Bodies(pose, shape, bodies.expression, bodies.translation)
    at_rest = pose_body(body, moved).joints[:, 0] - bodies.translation
    return State(replace(moved, translation=pelvis - at_rest), camera)


def _height(body: SkinnedBody, shape: Tensor) -> Tensor:
    """Distance (B,) m from head to left ankle at rest, of the child in a shape alone: an adult's size is seen."""
    ends = [body.joint_names.index(name) for name in ("head", "left_ankle")]
    grown = torch.einsum("eks,bs->bek", body.joint_basis[ends, :, ADULT_SHAPES:], shape[:, ADULT_SHAPES:])
    tall: Tensor = (body.joint_template[ends] + grown).diff(dim=1).norm(dim=-1)[:, 0]
    return tall


def _wrong_limbs(turn: np.ndarray, scale: np.ndarray, names: tuple[str, ...], rng: np.random.Generator) -> None:
    """Turn the joints of one limb of some bodies much too far; `turn` (B, J, 3) rad is changed."""
    wrong = np.flatnonzero((rng.random(len(turn)) < WRONG_LIMB) & (scale > 0))
    limb = rng.integers(len(LIMBS), size=len(turn))
    far = WRONG_LIMB_RAD * rng.standard_normal((len(turn), 2, 3))
    joints = np.array([[names.index(name) for name in pair] for pair in LIMBS])
    turn[wrong[:, None], joints[limb[wrong]]] += far[wrong]


def _swapped(pose: Tensor, names: tuple[str, ...], scale: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Give some bodies the rotations of the other side's limbs, mirrored."""
    swap = (rng.random(len(pose)) < SWAPPED) & (scale > 0)
    which = rng.integers(len(SWAPS), size=len(pose))
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0])).to(pose)
    pose = pose.clone()
    for kind, parts in enumerate(SWAPS):
        rows = torch.from_numpy(np.flatnonzero(swap & (which == kind))).to(pose.device)[:, None]
        left, right = (torch.tensor([names.index(f"{side}_{name}") for name in parts]) for side in ("left", "right"))
        here, there = torch.cat((left, right)).to(pose.device), torch.cat((right, left)).to(pose.device)
        pose[rows, here] = mirror @ pose[rows, there] @ mirror
    return pose


def _assumed(camera: Camera, rng: np.random.Generator, scale: np.ndarray) -> tuple[Camera, Tensor]:
    """Return the cameras regressors assume, and how much farther away bodies stand under them, (B, 1)."""
    low, high = np.log(FOCAL_FACTORS)
    factor = np.exp(rng.uniform(low, high, len(scale)))
    factor = np.where((rng.random(len(scale)) < OTHER_FOCAL) & (scale > 0), factor, 1.0)
    by = torch.from_numpy(factor)[:, None].to(camera.focal)
    return Camera(camera.focal * by, camera.center, camera.size), by
