"""A person who moves, made: the truth, an estimate whose error is mostly the same in all frames, and detections."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate, Source
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.keypoints.detections import Detections
from refine.state import State

RATE = 30.0
NAMES = "coco17"


@dataclass(frozen=True, eq=False)
class Moving:
    """A person in T frames at 30 a second."""

    body: SkinnedBody
    true: State
    estimate: Estimate
    detections: Detections

    def without(self, gone: list[int]) -> "Moving":
        """Return the same where the estimate and the detector miss some frames."""
        kept = [row for row in range(len(self.estimate)) if row not in gone]
        return replace(
            self, true=self.true[kept], estimate=self.estimate.rows(kept), detections=batch.rows(self.detections, kept)
        )

    def away_mm(self, state: State) -> Tensor:
        """Errors (T, 22) of the joints about the pelvis."""
        found, true = (pose_body(self.body, each.bodies).joints[:, :22] for each in (state, self.true))
        return 1e3 * ((found - found[:, :1]) - (true - true[:, :1])).norm(dim=-1)


def estimate_of(body: SkinnedBody, state: State, persons: tuple[str, ...] = ()) -> Estimate:
    """A state as what a tracking regressor said: a frame a row."""
    bodies = state.bodies
    source = Source(
        "made", body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation, persons=persons
    )
    return Estimate(body, state, torch.arange(len(state)), source)


def moving(body: SkinnedBody, frames: int, seed: int = 1) -> Moving:
    """Swinging limbs; errors of 30 mm PA-MPJPE, of which a tenth trembles; detections off by a few pixels."""
    draw = torch.Generator().manual_seed(seed)
    one, time = people(body, 1), torch.arange(frames)[:, None, None] / RATE
    phase = 6.28 * torch.rand(1, 21, 3, generator=draw)
    swing = 0.3 * torch.randn(1, 21, 3, generator=draw) * torch.sin(5.0 * time + phase)
    whole = batch.rows(one, [0] * frames)
    pose = whole.bodies.pose.clone()
    pose[:, 1:22] = pose[:, 1:22] @ rotation.exp(swing)
    true = State(replace(whole.bodies, pose=pose), whole.camera)
    wrong = disturb(body, one, "strong", [seed])
    constant = one.bodies.pose.mT @ wrong.bodies.pose
    trembling = rotation.exp(0.02 * torch.randn(frames, pose.shape[1], 3, generator=draw))
    said = State(replace(true.bodies, pose=pose @ constant @ trembling), true.camera)
    seen = estimate_of(body, true).keypoints_2d(NAMES)
    found = seen + 2.0 * torch.randn(frames, 17, 2, generator=draw)
    detections = Detections(NAMES, found, torch.full((frames, 17), 0.9))
    return Moving(body, true, estimate_of(body, said, ("anna",) * frames), detections)
