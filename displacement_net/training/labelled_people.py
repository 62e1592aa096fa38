"""Labelled people on the body that is estimated: as they are on their own model, else fitted to projected joints.

    shape, translation = argmin sum_j |project(joint_j) - joints_px_j|² / (sigma f / z)² + |shape|² + |translation -
                         start|² / place²

Rotations are copied; `start` puts the pelvis where the labels' mean body has it. So the picture is right to a fraction
of a pixel, and the distance to a few centimetres.

Source: one-step versions of this fit: `refine.transfer.source_fit`; shared rotations: Loper et al., SMPL, 2015.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.labels import Labels
from priors import GaussianShape, NearTranslation
from refine.body import KeypointSet, SkinnedBody, pose_body
from refine.body.find_model import find_model
from refine.body.load import load_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.discover import modules
from refine.errors import InputError
from refine.evaluate.casting import ADULT_SHAPES
from refine.geometry.camera import NEAR_M, Camera
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import State, Unknowns
from refine.terms import LeastSquares
from refine.terms.keypoints import Keypoints
from refine.terms.whiten import isotropic
from refine.transfer.source_fit import JOINT_SIGMA_M, fit_bodies

PLACE_SIGMA_M = 0.03
"""How well the mean body's rest pelvis tells where a person stands, m: shape moves it by a centimetre or two, very tall
people's by ten."""


def own_model(labels: Labels) -> SkinnedBody:
    """Return the neutral model the labels belong to where its file is found, else the built-in body.

    Args:
        labels: The labels.
    """
    layout = modules("refine.body", "refine.body_models", having="LAYOUT")[labels.model].LAYOUT
    try:
        path = find_model(layout, "neutral")
    except InputError:
        return load_body("anny")
    return load_body(path, betas=labels.betas.shape[1])


def true_state(labels: Labels, people: Int[np.ndarray, "P"], size: Float[Tensor, "P 2"], body: SkinnedBody) -> State:
    """Return people as they are, on the body that is estimated.

    Args:
        labels: N people.
        people: (P,) indices of 0..N-1.
        size: (P, 2) px, height and width of their photos.
        body: The body.

    Returns:
        P bodies in the camera frame, with their photos' cameras, on the body's device.
    """
    focal, center, target = (
        torch.from_numpy(part[people]).to(body.template) for part in (labels.focal, labels.center, labels.joints_px)
    )
    start = State(fit_bodies(labels.source(people), body).bodies, Camera(focal, center, size.to(focal)))
    if body.model == labels.model:
        return start
    here = start.bodies.translation
    sigma = (
        JOINT_SIGMA_M * focal.mean(1, keepdim=True) / pose_body(body, start.bodies).joints[:, 0, 2:].clamp(min=NEAR_M)
    )
    evidence = Keypoints(_body_joints(body), target, isotropic(sigma.expand(-1, BODY_JOINTS)), LeastSquares())
    known = (GaussianShape(), NearTranslation(here, (PLACE_SIGMA_M,) * 3))
    columns = Unknowns((), shape=min(body.shape_basis.shape[2], ADULT_SHAPES))  # nobody is a child to the joints alone
    return LevenbergMarquardt().solve(body, start, (evidence, *known), columns).state


def mean_misfit_px(labels: Labels, people: Int[np.ndarray, "P"], body: SkinnedBody) -> Float[Tensor, "P"]:
    """Return how far the 22 joints of people on a body project from their labels on average, (P,) px.

    Args:
        labels: N people.
        people: (P,) indices of 0..N-1; their images are not read.
        body: The body.
    """
    size = torch.from_numpy(2 * labels.center[people][:, ::-1].copy())
    state = true_state(labels, people, size, body)
    seen = state.camera.project(pose_body(body, state.bodies).joints[:, :BODY_JOINTS])
    return (seen - torch.from_numpy(labels.joints_px[people]).to(seen)).norm(dim=-1).mean(1)


def _body_joints(body: SkinnedBody) -> KeypointSet:
    """Return the 22 joints of trunk and limbs as keypoints, the same on every model."""
    joints = len(body.joint_names)
    weights = torch.eye(joints, device=body.template.device, dtype=body.template.dtype)[:BODY_JOINTS]
    triangle = torch.zeros(BODY_JOINTS, dtype=torch.long, device=weights.device)
    return KeypointSet(body.joint_names[:BODY_JOINTS], weights, triangle, weights.new_zeros(BODY_JOINTS, 3))
