"""The built-in body on annotated people: from many poses and headings at once, the cheapest is kept.

    cost = |keypoints|² + |pose - start|² + |shape|² + limits       sigmas of the annotators; wide ones around the start
    start: a recorded pose, one that stands and one that sits, each under `HEADINGS` headings; those whose keypoints
           look most alike

A single photo leaves depth open: such a fit is right where one looks from (the keypoints), and tens of millimetres off
in space. Refinements of it are therefore judged in the photo only.

Source: Bogo et al., SMPLify, ECCV 2016 (keypoints and priors); starting from examples is ours.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from displacement_net.training.evaluation.annotated import BODY, FEET, Annotated
from priors import GaussianShape, JointLimits, NearEstimate
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate import Estimate
from refine.evaluate.disturbance import as_estimate
from refine.evaluate.people import poses
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.solve import Solution
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import Bodies, State, Unknowns
from refine.terms import LeastSquares
from refine.terms.keypoints import DetectorNoise, keypoints_from_sigma

SET = "coco133"
HEADINGS = 12
"""Directions a person may face."""
WIDER = 2.0
"""Factor on the sigmas of `NearEstimate`: a start says less than a regressor."""
HEADING_SIGMA_RAD = 0.8
"""Of the root: the next heading is that far away."""
SIT_RAD = 1.4
"""How far hips and knees of the sitting start are bent."""
CAMERA = "diagonal"
"""Focal rule: nothing is known of the lens."""
TRIED, KEPT = 32, 4
"""Starts of each person that are fitted roughly, and those of them that are fitted to the end."""
COARSE, FINE = LevenbergMarquardt(steps=12), LevenbergMarquardt(steps=60)


@torch.no_grad()
def fit_annotated(body: SkinnedBody, people: Annotated) -> Estimate:
    """Fit the body to every person's keypoints.

    Args:
        body: The built-in body.
        people: N.

    Returns:
        N bodies, in the camera of the rule `CAMERA`.
    """
    sizes = torch.tensor([photo.size for photo in people.photos], dtype=torch.float32)
    camera = camera_from_rule(CAMERA, sizes[people.image_index])
    start = _placed(body, _starts(body), people, camera)  # (N TRIED)
    count = len(people)
    who = torch.arange(count).repeat_interleave(TRIED)
    first = _solve(body, start, start, people, who, COARSE, False)
    rows = (first.cost.reshape(count, TRIED).argsort(1)[:, :KEPT] + torch.arange(count)[:, None] * TRIED).flatten()
    second = _solve(body, first.state[rows], start[rows], people, who[rows], FINE, True)
    best = second.cost.reshape(count, KEPT).argmin(1) + torch.arange(count) * KEPT
    return as_estimate(body, second.state[best], people.image_index)


def _starts(body: SkinnedBody) -> Float[Tensor, "K J 3 3"]:
    """Return poses times headings."""
    recorded = poses().double()
    local = torch.zeros(len(recorded) + 2, len(body.joint_names), 3, dtype=torch.float64)
    local[2:, :BODY_JOINTS] = recorded
    for side, sign in (("left", -1.0), ("right", 1.0)):
        local[:2, body.joint_names.index(f"{side}_shoulder"), 2] = sign  # arms down from the T pose
        local[1, body.joint_names.index(f"{side}_hip"), 0] = -SIT_RAD
        local[1, body.joint_names.index(f"{side}_knee"), 0] = SIT_RAD
    turned = rotation.exp(local)
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    angle = torch.arange(HEADINGS, dtype=torch.float64) * 2 * math.pi / HEADINGS
    heading = upright @ rotation.exp(angle[:, None] * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    many = turned.repeat_interleave(HEADINGS, 0)
    many[:, 0] = heading.repeat(len(turned), 1, 1) @ many[:, 0]
    return many.to(body.template)


def _placed(body: SkinnedBody, pose: Float[Tensor, "K J 3 3"], people: Annotated, camera: Camera) -> State:
    """Return, for each person, the `TRIED` poses whose keypoints are most like theirs, where and as large as theirs."""
    rest = body.rest_bodies(len(pose))
    bodies = Bodies(pose, 0 * rest.shape, rest.expression, 0 * rest.translation)
    own = pose_body(body, bodies).keypoints(body.keypoint_set(SET))[None, :, :BODY, :2]  # (1, K, 17, 2) m
    share = people.confidence[:, None, :BODY, None]
    share = share / share.sum(2, keepdim=True)
    aim = people.pixel[:, None, :BODY]
    middle, aimed = (own * share).sum(2, keepdim=True), (aim * share).sum(2, keepdim=True)  # (N, K, 1, 2), (N, 1, 1, 2)
    spread, wide = (((each - mean).square() * share).sum((2, 3)).sqrt() for each, mean in ((own, middle), (aim, aimed)))
    scale = wide / spread  # (N, K) px per m
    apart = ((own - middle) * scale[..., None, None] - (aim - aimed)).square() * share
    best = apart.sum((2, 3)).argsort(1)[:, :TRIED]  # (N, TRIED)
    depth = camera.focal[:, :1] / scale.gather(1, best)
    across = (aimed[:, 0] - camera.center[:, None]) / camera.focal[:, None] * depth[..., None]
    across = across - middle[torch.arange(len(people))[:, None], best, 0]
    place = torch.cat((across, depth[..., None]), 2).flatten(0, 1)
    who = torch.arange(len(people)).repeat_interleave(TRIED)
    return State(replace(bodies[best.flatten()], translation=place), camera[who])


def _solve(
    body: SkinnedBody,
    state: State,
    start: State,
    people: Annotated,
    who: Tensor,
    solver: LevenbergMarquardt,
    whole: bool,
) -> Solution:
    """Fit states of people, kept near their starts: face and hands too, or trunk, limbs and feet alone."""
    points, target = body.keypoint_set(SET), people.pixel[who]
    confidence = people.confidence[who]
    if not whole:
        confidence = confidence * (torch.arange(confidence.shape[1]) < BODY + FEET)
    area = people.box[who, 2:].prod(1)
    sigma = DetectorNoise().sigma_px(points.names, target, confidence, area, state.camera.size)
    term = replace(keypoints_from_sigma(points, target, sigma), kernel=LeastSquares())  # annotators swap nothing
    near = WIDER * body.usual_sigma_rad
    near[0] = HEADING_SIGMA_RAD
    unknowns = Unknowns(tuple(range(len(body.joint_names) if whole else BODY_JOINTS)), body.shape_basis.shape[2])
    priors = (NearEstimate(start.bodies.pose, near), GaussianShape(), JointLimits())
    return solver.solve(body, state, [term, *priors], unknowns)
