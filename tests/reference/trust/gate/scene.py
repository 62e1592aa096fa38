"""People of whom one has a leg that is wrong, one keypoints of somebody else, and gates that mind nothing."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

import refine
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.refiner import Refiner
from refine.state import State
from refine.trust.gate import Gate
from tests.people import Case

KICK, STRANGER, RIGHT, PERFECT = range(4)
"""The four people of `scene`: what is wrong with the evidence about them."""
SAME = 1e-4
"""Radians and metres by which float32 solves of different batches differ."""
SAME_WHERE_WRONG = 0.01
"""The same where the evidence is wrong: the cost is flat there, and the step limit or the least gain ends the
search."""
HARDLY_M = 0.002
"""What a perfect estimate may be moved by in the mean of its joints; without a gate the shape's prior pulls it
further."""
NOTHING_IS_TOO_MUCH = Gate(most_size=1e9, most_branch_size=1e9, most_misfit=1e9, most_worse=1e9)


@dataclass(frozen=True)
class Scene:
    """`people`, what a regressor said of them, and what a detector did."""

    people: Case
    estimate: Estimate
    detections: refine.Detections

    def fit(self, refiner: Refiner | None = None, rows: tuple[int, ...] = (0, 1, 2, 3)) -> refine.Result:
        index = torch.tensor(rows)
        seen = refine.Detections("body25", self.detections.pixel[index], self.detections.confidence[index])
        return refine.fit(self.people.photos, self.estimate.rows(index), keypoints=seen, refiner=refiner)


def turned_by(estimate: Estimate, step: Tensor) -> Estimate:
    """The estimate with its joints turned by (B, J, 3) rad."""
    bodies = replace(estimate.bodies, pose=estimate.bodies.pose @ rotation.exp(step))
    return replace(estimate, state=State(bodies, estimate.camera))


def off(estimate: Estimate, true: Estimate) -> Tensor:
    """Mean distance (B,) m of the body's joints, pelvises together."""
    here, there = (each.joints[:, :22] - each.joints[:, :1] for each in (estimate, true))
    return (here - there).norm(dim=-1).mean(1)
