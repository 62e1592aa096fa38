"""The same people and evidence in the camera's frame and in a turned, shifted world: the same result."""

from dataclasses import replace

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.geometry import rotation
from refine.refiner import Refiner
from refine.result import Result
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.transfer import in_camera, in_world, on_body, source_parameters, with_camera
from refine.trust.uncertainty import joint_sigma_mm, posterior, vertex_sigma_mm
from tests.people import Case, case

SAME_M = 1e-5
"""Where two solutions of the same problem stop in double precision."""
SAME_SIGMA = 1e-3
"""Of a standard deviation, relative."""


def world_of(count: int, seed: int = 0) -> torch.Tensor:
    """Where cameras stand in a world: turned by up to 180 degrees, some metres away."""
    draw = torch.Generator().manual_seed(seed)
    turn = rotation.exp(1.5 * torch.randn(count, 3, generator=draw, dtype=torch.float64))
    shift = 3 * torch.randn(count, 3, 1, generator=draw, dtype=torch.float64)
    return torch.cat((turn, shift), 2)


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, 2, angle=0.15)


class ToTheEnd(LevenbergMarquardt):
    """The solver without an early end: its damping goes along the axes of the bodies' frame, and so does its way."""

    def rough(self) -> LevenbergMarquardt:
        return self


def fitted(people: Case, placed: bool, shift: float = 0.0) -> Result:
    estimate = people.estimate.to(dtype=torch.float64)
    found = people.detections
    found = replace(found, pixel=found.pixel.double() + shift, confidence=found.confidence.double())
    if placed:
        estimate = in_world(estimate, world_of(len(estimate)))
    return refine.fit(
        people.photos, estimate, keypoints=found, refiner=Refiner(solver=ToTheEnd(steps=300, cost_tolerance=1e-15))
    )


@pytest.mark.parametrize("shift", [0.0, 120.0], ids=["as detected", "somebody else's keypoints"])
def test_a_world_changes_nothing(people: Case, shift: float) -> None:
    here, there = fitted(people, False, shift), fitted(people, True, shift)
    assert there.camera.camera_from_world is not None
    assert (here.vertices - there.vertices).abs().max() < SAME_M
    assert (here.keypoints_2d("coco17") - there.keypoints_2d("coco17")).abs().max() < 0.01
    assert [one.decision for one in here.judgement] == [one.decision for one in there.judgement]
    assert torch.allclose(here.sigma_mm, there.sigma_mm, rtol=SAME_SIGMA)
    assert here.sigma_mm.isfinite().all()
    moved = (here.bodies.translation - there.bodies.translation).norm(dim=1)
    assert (moved > 0.5).all(), "the world is another frame"


def test_sigmas_are_along_the_cameras_axes(people: Case) -> None:
    here, there = fitted(people, False), fitted(people, True)
    for result in (here, there):
        depth = result.sigma_mm[:, 0, 2]
        assert (depth > 3 * result.sigma_mm[:, 0, :2].amax(1)).all(), "how far away is known least"
    body, rows = here.body, torch.tensor([0, 500, 5000])
    near, far = (vertex_sigma_mm(body, one.state, posterior(body, one.rounds[-1]), rows) for one in (here, there))
    assert torch.allclose(near, far, rtol=SAME_SIGMA)
    sigma = joint_sigma_mm(body, there.state, posterior(body, there.rounds[-1]))
    assert torch.allclose(sigma, here.sigma_mm, rtol=SAME_SIGMA)


def test_there_and_back_is_the_same_people(people: Case) -> None:
    estimate = people.estimate
    world = in_world(estimate, world_of(2))
    assert (world.vertices - estimate.vertices).abs().max() < 1e-5
    assert (world.posed.vertices - estimate.vertices).abs().max() > 1
    assert (world.keypoints_2d("body25") - estimate.keypoints_2d("body25")).abs().max() < 0.01
    back = in_camera(world)
    assert (back.bodies.pose - estimate.bodies.pose).abs().max() < 1e-6
    assert (back.bodies.translation - estimate.bodies.translation).abs().max() < 1e-5
    assert back.camera.camera_from_world is None and in_camera(estimate) is estimate
    again = in_world(world, world_of(2, seed=1))
    assert (again.vertices - estimate.vertices).abs().max() < 1e-5


def test_parameters_are_the_cameras_and_untouched_ones_the_sources(people: Case) -> None:
    estimate = people.estimate
    world, far = in_world(estimate, world_of(2)), world_of(2).clone()
    far[:, :, 3] *= 100
    for placed in (world, in_world(estimate, far)):
        for name, value in source_parameters(estimate).items():
            if name != "refine_body":
                assert (source_parameters(placed)[name] == value).all(), name


def test_another_camera_stands_where_the_first_did(people: Case) -> None:
    estimate = people.estimate
    longer = replace(estimate.camera, focal=2 * estimate.camera.focal)
    here, there = with_camera(estimate, longer), with_camera(in_world(estimate, world_of(2)), longer)
    assert (here.vertices - there.vertices).abs().max() < 1e-5
    bent = replace(longer, distortion=longer.focal.new_tensor([[-0.3, 0.1, 0.001, 0.002]]).expand(2, -1))
    lens = with_camera(estimate, bent)
    pelvis = lens.camera.project(lens.joints[:, :1]) - estimate.camera.project(estimate.joints[:, :1])
    assert pelvis.abs().max() < 0.01, "every pelvis keeps its pixel"
    with pytest.raises(refine.InputError, match="camera_from_world"):
        with_camera(estimate, replace(longer, camera_from_world=world_of(2).float()))


def test_another_model_stays_in_the_world(people: Case, builtin_body: SkinnedBody) -> None:
    other = replace(builtin_body, name="another")
    here, there = on_body(people.estimate, other), on_body(in_world(people.estimate, world_of(2)), other)
    assert (here.vertices - there.vertices).abs().max() < 1e-4
