"""Three other fitting methods after their published schedules, on the same evidence, each with four prior weights.

    gmof(x) = σ² x² / (σ² + x²) for each coordinate, σ = 100 px
              data = Σ confidence² gmof(x_keypoint) + ω Σ gmof(x_match)

spin        Adam at 1e-2; 100 steps translation and orientation: trunk's points, squared, + 100² (depth - depth_0)²;
            then 100 steps pose, orientation, shape: data in px of a 224 crop + 4.78² E + 15.2² bending + 5² |β|²; hips
            are left out
smplifyx    L-BFGS; translation and orientation: trunk's points, squared, + 100² (depth - depth_0)²; then stages of
            pose, orientation, shape: (1000 / H)² data + w² E + 3.17 w bending + s² |β|², w = 404, 404, 57.4, 4.78, 4.78
            and s = 100, 50, 10, 5, 5
camsmplify  Adam at 1e-3; 300 steps translation, shape; 300 with orientation; 500 all: 0.005 data in px of a 768 crop
            (confidences 0 or 1, matches 0.0005) + 10 |θ - θ_0|² + 10 |β - β_0|², in the last stage + |V - V_0|²; hips
            are left out

E is our shipped mixture in place of licensed priors; "prior weights" multiply everything but the data, and the best of
four by mean PVE against the truth is reported, which no user could choose. Matches, which only CamSMPLify has, weigh a
tenth of a keypoint in all three (ω = 0.1, 138 of them), and are taken anew before each stage (SMPLify-X: before the
camera, the first stage and the last but one). The camera's stage goes by keypoints, by matches of the trunk where there
are none. All see through the estimate's camera. Three of SMPLify-X's four settings leave out its first three stages,
which undo a good start (its author's advice, smplify-x#96), and two of these the stage that places the camera, which
trusts four points of the trunk; a stage ends after 60 steps. CamSMPLify's |V - V_0|² is taken over 128 vertices, times
6890 / 128; people it would drop for a large loss are kept.

Source: SPIN 2476c43 smplify/smplify.py, losses.py; SMPLify-X 68f8536 fit_single_frame.py, fitting.py,
cfg_files/fit_smplx.yaml; CameraHMR 65d11a0 CamSMPLify.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body.smpl_joints import BODY_JOINTS
from refine.evaluate.errors import errors_of
from refine.evaluate.harm.descend import adam, lbfgs
from refine.evaluate.harm.evidence import Evidence
from refine.evaluate.harm.outcome import Outcome, everybody
from refine.evaluate.harm.rival_evidence import RivalEvidence, look
from refine.evaluate.harm.rival_priors import bending, pose_prior
from refine.evaluate.harm.sampled_skin import vertices_of
from refine.evaluate.harm.scene import Case
from refine.geometry import rotation
from refine.state import State

GMOF_PX = 100.0
DENSE_SHARE = 0.1
"""Of a keypoint's weight a match: CamSMPLify's 0.0005 over 0.005."""
PRIOR_WEIGHTS = (0.03, 0.1, 0.3, 1.0)
"""Multiples of the published weights that are tried."""
SPIN_CROP_PX, CAM_CROP_PX = 224.0, 768.0
SMPL_VERTICES, SAMPLED_VERTICES = 6890, 128
LBFGS_STEPS, LBFGS_TOLERANCE = 60, 1e-7
BODY_STAGES = ((404.0, 100.0), (404.0, 50.0), (57.4, 10.0), (4.78, 5.0), (4.78, 5.0))
"""SMPLify-X: w and s of each stage."""


@dataclass(frozen=True, eq=False)
class Unknown:
    """What is changed, R rows: `turn` (R, 22, 3) rad, root first, `shape` (R, S), `translation` (R, 3) m."""

    root: Float[Tensor, "R 1 3"]
    turn: Float[Tensor, "R J 3"]
    shape: Float[Tensor, "R S"]
    translation: Float[Tensor, "R 3"]
    start: State

    def pose(self) -> Float[Tensor, "R J 3 3"]:
        """Return (R, J, 3, 3) local rotations; hands and face are the estimate's."""
        moved = rotation.exp(torch.cat((self.root, self.turn), 1))
        return torch.cat((moved, self.start.bodies.pose[:, BODY_JOINTS:]), 1)

    def project(self, seen: RivalEvidence) -> Float[Tensor, "R M 2"]:
        """Return where the evidence's points are seen, px."""
        return seen.project(self.pose(), self.shape, self.translation)

    def state(self) -> State:
        """Return the bodies as they are now."""
        bodies = replace(
            self.start.bodies,
            pose=self.pose().detach(),
            shape=self.shape.detach().clone(),
            translation=self.translation.detach().clone(),
        )
        return State(bodies, self.start.camera)


Method = Callable[[Case, Evidence, Unknown, Tensor], Tensor]
"""Changes the unknowns of R rows with their prior weights (R,); returns the last stage's cost (R,)."""


def spin(case: Case, evidence: Evidence, unknown: Unknown, weight: Tensor) -> Tensor:
    """SPIN's SMPLify."""
    seen = look(case, evidence, unknown.state())
    adam([unknown.root, unknown.translation], camera_cost(unknown, seen, SPIN_CROP_PX / seen.side, 1.0), 100, 1e-2)
    seen = _again(case, evidence, unknown, seen)
    scale = SPIN_CROP_PX / seen.side
    trust = point_weights(seen, seen.confidence, leave_hips=True)

    def cost() -> Tensor:
        priors = 4.78**2 * pose_prior().energy(unknown.turn) + 15.2**2 * bending(unknown.turn)
        priors = priors + 5.0**2 * unknown.shape.square().sum(1)
        return data_cost(unknown, seen, scale, trust) + weight * priors

    return adam([unknown.root, unknown.turn, unknown.shape], cost, 100, 1e-2)


def smplifyx(
    case: Case, evidence: Evidence, unknown: Unknown, weight: Tensor, first: int = 0, place_first: bool = True
) -> Tensor:
    """SMPLify-X, from one of its stages on; the camera is placed first, or the translation is free all along."""
    seen = look(case, evidence, unknown.state())
    scale = 1000.0 / seen.camera.size[:, 0]
    free = [unknown.root, unknown.turn, unknown.shape]
    if place_first:
        ones = torch.ones_like(scale)
        cost = camera_cost(unknown, seen, ones, scale.square())
        lbfgs([unknown.root, unknown.translation], cost, LBFGS_STEPS, LBFGS_TOLERANCE)
    else:
        free.append(unknown.translation)
    last = torch.zeros_like(weight)
    for stage, (body_weight, shape_weight) in enumerate(BODY_STAGES):
        if stage < first:
            continue
        if stage in (first, len(BODY_STAGES) - 2):
            seen = _again(case, evidence, unknown, seen)
        last = lbfgs(
            free,
            _stage_cost(unknown, seen, scale, body_weight, shape_weight, weight),
            LBFGS_STEPS,
            LBFGS_TOLERANCE,
        )
    return last


def last_stages(case: Case, evidence: Evidence, unknown: Unknown, weight: Tensor) -> Tensor:
    """SMPLify-X without its first three stages, which undo a good start."""
    return smplifyx(case, evidence, unknown, weight, first=3)


def last_stages_at_once(case: Case, evidence: Evidence, unknown: Unknown, weight: Tensor) -> Tensor:
    """SMPLify-X's last two stages with the translation free in them, without a stage that places the camera."""
    return smplifyx(case, evidence, unknown, weight, first=3, place_first=False)


def camsmplify(case: Case, evidence: Evidence, unknown: Unknown, weight: Tensor) -> Tensor:
    """CamSMPLify."""
    start = unknown.state()
    root, turn, shape = (each.clone() for each in (unknown.root, unknown.turn, unknown.shape))
    body = case.scene.body
    vertex = torch.randint(len(body.template), (1, SAMPLED_VERTICES), generator=torch.Generator().manual_seed(0))
    skin = vertices_of(body, vertex.expand(len(weight), -1))
    nowhere = torch.zeros_like(unknown.translation)
    vertices, _ = skin(start.bodies.pose, shape, nowhere)
    seen: RivalEvidence | None = None
    last = torch.zeros_like(weight)
    stages: tuple[tuple[int, list[Tensor]], ...] = (
        (300, [unknown.translation, unknown.shape]),
        (300, [unknown.root, unknown.translation, unknown.shape]),
        (500, [unknown.root, unknown.turn, unknown.translation, unknown.shape]),
    )
    for stage, (steps, free) in enumerate(stages):
        seen = look(case, evidence, start) if seen is None else _again(case, evidence, unknown, seen)
        scale = CAM_CROP_PX / seen.side
        trust = 0.005 * point_weights(seen, (seen.confidence > 0).to(seen.confidence), leave_hips=True)

        def cost(
            seen: RivalEvidence = seen, scale: Tensor = scale, trust: Tensor = trust, last_stage: bool = stage == 2
        ) -> Tensor:
            away = (unknown.turn - turn).square().sum((1, 2)) + (unknown.root - root).square().sum((1, 2))
            anchors = 10 * away + 10 * (unknown.shape - shape).square().sum(1)
            if last_stage:
                moved, _ = skin(unknown.pose(), unknown.shape, nowhere)
                anchors = anchors + SMPL_VERTICES / SAMPLED_VERTICES * (moved - vertices).square().sum((1, 2))
            return data_cost(unknown, seen, scale, trust) + weight * anchors

        last = adam(free, cost, steps, 1e-3)
    return last


RIVALS: Mapping[str, tuple[tuple[str, Method, tuple[float, ...]], ...]] = {
    "SPIN-SMPLify": (("", spin, PRIOR_WEIGHTS),),
    "SMPLify-X": (
        ("5 stages", smplifyx, (1.0,)),
        ("last 2 stages", last_stages, (1.0,)),
        ("last 2 stages, translation free", last_stages_at_once, (1.0, 3.0)),
    ),
    "CamSMPLify": (("", camsmplify, PRIOR_WEIGHTS),),
}
"""By name: variants, each with the prior weights that are tried; four settings in all."""


def rival(name: str, case: Case, evidence: Evidence) -> tuple[Outcome, str]:
    """Let a rival fit a case with four settings, and return the best one's outcome and what it was.

    Args:
        name: One of `RIVALS`.
        case: People and their estimates.
        evidence: What is seen of them.
    """
    best: tuple[float, Outcome, str] | None = None
    count, settings = len(case), sum(len(weights) for _, _, weights in RIVALS[name])
    for words, method, weights in RIVALS[name]:
        start = time.perf_counter()
        unknown = unknown_of(case, len(weights))
        weight = torch.tensor(weights).repeat_interleave(count).to(unknown.shape)
        method(case, evidence, unknown, weight)
        seconds = (time.perf_counter() - start) / len(weights)
        whole = unknown.state()
        for number, multiple in enumerate(weights):
            state = whole[slice(number * count, (number + 1) * count)]
            pve = float(errors_of(case.scene.body, state, case.true).pve.mean())
            if best is None or pve < best[0]:
                note = f"prior × {multiple:g}{', ' + words if words else ''}, best of {settings}"
                best = pve, Outcome(state, everybody(count), seconds), note
    assert best is not None
    return best[1], best[2]


def unknown_of(case: Case, times: int) -> Unknown:
    """Return a case's bodies as unknowns, repeated.

    Args:
        case: B bodies.
        times: R = B times this.
    """
    state = case.estimate.state[torch.arange(len(case)).repeat(times)]
    bodies = state.bodies
    turn = rotation.log(bodies.pose[:, :BODY_JOINTS])
    return Unknown(turn[:, :1].clone(), turn[:, 1:].clone(), bodies.shape.clone(), bodies.translation.clone(), state)


def gmof(apart: Tensor) -> Tensor:
    """Return σ² x² / (σ² + x²) of each coordinate."""
    squared = apart.square()
    return GMOF_PX**2 * squared / (GMOF_PX**2 + squared)


def point_weights(seen: RivalEvidence, confidence: Tensor, leave_hips: bool) -> Float[Tensor, "R M"]:
    """Return the weight of each point: confidence² of keypoints, ω of matches that are seen."""
    keypoints = confidence[:, : seen.keypoints].square()
    if leave_hips:
        keypoints = keypoints * (1 - seen.loose[: seen.keypoints])
    dense = DENSE_SHARE * confidence[:, seen.keypoints :]
    return torch.cat((keypoints, dense), 1)


def data_cost(unknown: Unknown, seen: RivalEvidence, scale: Tensor, trust: Tensor) -> Float[Tensor, "R"]:
    """Return Σ trust gmof(scale (projected - target)) (R,)."""
    apart = (unknown.project(seen) - seen.target) * scale[:, None, None]
    return (trust * gmof(apart).sum(-1)).sum(1)


def camera_cost(
    unknown: Unknown, seen: RivalEvidence, scale: Tensor, weight: Tensor | float
) -> Callable[[], Float[Tensor, "R"]]:
    """Return the cost of the stage that places the camera: the trunk's points, squared, and the depth it started at."""
    start = unknown.translation[:, 2].clone()
    trust = point_weights(seen, (seen.confidence > 0).to(seen.confidence), leave_hips=False) * seen.torso
    named = trust[:, : seen.keypoints].gt(0).any(1, keepdim=True)
    trust = torch.cat((trust[:, : seen.keypoints], trust[:, seen.keypoints :] * ~named), 1)

    def cost() -> Tensor:
        apart = (unknown.project(seen) - seen.target) * scale[:, None, None]
        depth = 100.0**2 * (unknown.translation[:, 2] - start).square()
        return weight * (trust * apart.square().sum(-1)).sum(1) + depth

    return cost


def _stage_cost(
    unknown: Unknown, seen: RivalEvidence, scale: Tensor, body_weight: float, shape_weight: float, weight: Tensor
) -> Callable[[], Float[Tensor, "R"]]:
    ones = torch.ones_like(scale)
    trust = point_weights(seen, seen.confidence, leave_hips=False)

    def cost() -> Tensor:
        priors = body_weight**2 * pose_prior().energy(unknown.turn) + 3.17 * body_weight * bending(unknown.turn)
        priors = priors + shape_weight**2 * unknown.shape.square().sum(1)
        return scale.square() * data_cost(unknown, seen, ones, trust) + weight * priors

    return cost


def _again(case: Case, evidence: Evidence, unknown: Unknown, seen: RivalEvidence) -> RivalEvidence:
    """Return the evidence for the bodies as they are now; keypoints do not change."""
    return seen if evidence.displacer is None else look(case, evidence, unknown.state())
