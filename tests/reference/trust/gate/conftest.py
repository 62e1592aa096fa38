"""The people of `scene.py`, refined with and without a gate."""

from dataclasses import replace

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.refiner import Refiner
from tests.people import case
from tests.reference.trust.gate.scene import KICK, PERFECT, STRANGER, Scene, turned_by


@pytest.fixture(scope="module")
def scene(builtin_body: SkinnedBody) -> Scene:
    people = case(builtin_body, count=4, angle=0.07)
    bodies, true = people.estimate.bodies, people.true.bodies
    perfect = torch.arange(4) == PERFECT
    state = replace(
        people.estimate.state,
        bodies=replace(
            bodies,
            pose=torch.where(perfect[:, None, None, None], true.pose, bodies.pose),
            translation=torch.where(perfect[:, None], true.translation, bodies.translation),
        ),
    )
    draw = torch.Generator().manual_seed(1)
    other = torch.zeros(4, len(builtin_body.joint_names), 3)
    other[:, 1:22], other[:, 0, 1] = 0.7 * torch.randn(4, 21, 3, generator=draw), 1.0
    kicked = torch.zeros_like(other)
    kicked[:, builtin_body.joint_names.index("left_hip"), 0] = -1.0
    pixel = people.detections.pixel.clone()
    pixel[STRANGER] = turned_by(people.true, other).keypoints_2d("body25")[STRANGER]
    pixel[KICK] = turned_by(people.true, kicked).keypoints_2d("body25")[KICK]
    return Scene(people, replace(people.estimate, state=state), replace(people.detections, pixel=pixel))


@pytest.fixture(scope="module")
def result(scene: Scene) -> refine.Result:
    return scene.fit()


@pytest.fixture(scope="module")
def ungated(scene: Scene) -> refine.Result:
    return scene.fit(Refiner(gate=None))
