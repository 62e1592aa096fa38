"""What rows share, through `fit`: one focal length of the people of a photo, one shape of a person's photos."""

from dataclasses import replace

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.refiner import Refiner
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.state import Groups, State, Unknowns, one_shape
from tests.people import case

SOLVER = LevenbergMarquardt(steps=60)


def test_four_people_of_a_photo_find_its_one_focal_length(builtin_body: SkinnedBody) -> None:
    """Four people at three to six metres under a lens a fifth longer than was said: what one of them cannot tell from
    standing farther away, four at different distances can."""
    people = case(builtin_body, count=4, angle=0.05)
    depth = torch.tensor([3.0, 4.0, 5.0, 6.0])
    side = torch.tensor([-0.9, -0.4, 0.5, 1.2])
    where = torch.stack((side, torch.full((4,), 0.1), depth), 1)
    true = State(replace(people.true.bodies, translation=where), people.true.camera)
    wrong = replace(people.true.camera, focal=people.true.camera.focal / 1.2)
    shift = torch.cat((torch.zeros(4, 2), -where[:, 2:] * (1 - 1 / 1.2)), 1)  # as large in the picture
    bodies = replace(people.estimate.bodies, translation=where + shift)
    one = torch.zeros(4, dtype=torch.long)
    estimate = replace(people.estimate, state=State(bodies, wrong), image_index=one)
    points = replace(people.true, state=true).keypoints_2d("body25")
    seen = refine.Detections("body25", points, torch.ones(points.shape[:2]))
    unknowns = Unknowns(tuple(range(22)), 16, 0, 3, 1)

    result = refine.fit(people.photos[0], estimate, keypoints=seen, refiner=Refiner(unknowns=unknowns, solver=SOLVER))
    focal = result.camera.focal
    assert result.accepted.all() and float(result.misfit.max()) < 1.0
    assert (focal == focal[0]).all(), "a photo has one lens"
    assert result.rounds[-1].solution.unknowns.groups is not None
    away = float((focal[0, 0] / true.camera.focal[0, 0]).log().abs())
    sigma = result.rounds[-1].solution.covariance()[:, -1, -1].sqrt()
    assert torch.allclose(sigma, sigma[:1].expand(4), rtol=1e-4) and away < 0.06, "of the 0.18 it was off"
    alone = [
        refine.fit(
            people.photos[0],
            estimate.rows([row]),
            keypoints=refine.Detections("body25", points[[row]], torch.ones(1, 25)),
            refiner=Refiner(unknowns=unknowns, solver=SOLVER),
        )
        for row in range(2)
    ]
    for each in alone:
        assert float(sigma[0]) < float(each.rounds[-1].solution.covariance()[0, -1, -1].sqrt()), (
            "four know more than one"
        )


def test_people_of_one_photo_with_lenses_of_their_own_are_refused(builtin_body: SkinnedBody) -> None:
    two = case(builtin_body, count=2)
    together = replace(two.estimate, image_index=torch.tensor([0, 0]))
    unknowns = Unknowns(tuple(range(22)), 16, 0, 3, 1, groups=Groups(focal=torch.tensor([0, 1])))
    with pytest.raises(refine.InputError, match=r"unknowns\.groups\.focal: expected one label"):
        refine.fit(two.photos[0], together, keypoints=two.detections, refiner=Refiner(unknowns=unknowns))


def test_three_photos_of_a_person_have_one_shape_and_a_stranger_his_own(builtin_body: SkinnedBody) -> None:
    people = case(builtin_body, count=4, angle=0.15)
    unknowns = Unknowns(builtin_body.anatomy.core_joints, 16, groups=one_shape(["her", "her", "her", "him"]))
    result = refine.fit(people.photos, people.estimate, keypoints=people.detections, refiner=Refiner(unknowns=unknowns))
    shape = result.bodies.shape
    assert result.accepted.all()
    assert (shape[:3] == shape[0]).all() and (shape[3] != shape[0]).any()
    alone = refine.fit(
        people.photos[3:],
        replace(people.estimate.rows([3]), image_index=torch.tensor([0])),
        keypoints=refine.Detections("body25", people.detections.pixel[3:], people.detections.confidence[3:]),
        refiner=Refiner(unknowns=replace(unknowns, groups=None)),
    )
    assert (alone.joints[0] - result.joints[3]).abs().max() < 2e-3, "he does not feel her"
