"""Several readings of one source of evidence: the rest of the evidence chooses."""

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.keypoints.joints3d import point_set
from refine.solve.start import Kind
from refine.state import one_shape
from refine.terms.alternatives import alternatives
from refine.terms.joints3d import Joints3D, joints3d
from tests.people import Case, case


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=4, name="coco17", angle=0.15)


def readings(people: Case) -> tuple[Joints3D, Joints3D]:
    """The right pose, and the same seen from the other side: all depths mirrored."""
    points = point_set(people.true.body, "h36m17")
    place = people.true.posed.keypoints(points)
    place = place - place[:, :1]
    sigma = torch.full(place.shape[:2], 0.03)
    mirrored = place * torch.tensor([1.0, 1.0, -1.0])
    return tuple(joints3d(points, each, sigma, shift=True) for each in (place, mirrored))  # type: ignore[return-value]


def off(result: refine.Result, people: Case) -> torch.Tensor:
    return (result.refined.joints - people.true.joints).norm(dim=-1).mean(1)


def test_the_keypoints_choose_the_reading(people: Case) -> None:
    right, wrong = readings(people)
    best = refine.fit(people.photos, people.estimate, keypoints=people.detections, evidence=[right])
    found = refine.fit(
        people.photos, people.estimate, keypoints=people.detections, evidence=[alternatives([wrong, right])]
    )
    assert (off(found, people) < off(best, people) + 0.005).all() and found.accepted.all()
    kinds = [start.kind for start in found.rounds[-1].start]
    assert kinds == [Kind.READ_OTHERWISE] * 4 and sum("another than" in note for note in found.notes) == 4


def test_a_reading_that_fits_stays_and_nobody_is_told(people: Case) -> None:
    found = refine.fit(
        people.photos, people.estimate, keypoints=people.detections, evidence=[alternatives(readings(people))]
    )
    assert all(start.kind is Kind.AS_GIVEN for start in found.rounds[-1].start)


def test_the_likelier_reading_is_tried_first_and_costs_nothing(people: Case) -> None:
    right, wrong = readings(people)
    likely = torch.tensor([[0.1, 0.9]]).expand(4, -1)
    term = alternatives([wrong, right], likely)
    assert (term.most_probable == 1).all() and (term.penalty(term.most_probable) == 0).all()
    assert torch.allclose(term.penalty(torch.zeros(4, dtype=torch.long)), torch.tensor(9.0).log().expand(4))
    mixed = term.read(torch.tensor([0, 1, 0, 1]))
    assert torch.equal(mixed.target[0], wrong.target[0]) and torch.equal(mixed.target[1], right.target[1])


def test_rows_that_are_solved_together_take_the_likeliest(people: Case) -> None:
    body = people.estimate.body
    unknowns = refine.Unknowns(body.anatomy.core_joints, body.shape_basis.shape[2], groups=one_shape([0, 0, 1, 1]))
    found = refine.fit(
        people.photos, people.estimate, keypoints=people.detections, evidence=[alternatives(readings(people))],
        refiner=refine.Refiner(unknowns=unknowns),
    )  # fmt: skip
    assert len(found) == 4 and all(start.kind is Kind.AS_GIVEN for start in found.rounds[-1].start)


@pytest.mark.usefixtures("unchecked")
def test_readings_that_do_not_go_together_are_refused(people: Case) -> None:
    right, _ = readings(people)
    for wrong, message in ((torch.full((4, 2), -1.0), "negative"), (torch.ones(4, 3), "shape")):
        with pytest.raises(InputError, match=message):
            alternatives([right, right], wrong)
    with pytest.raises(InputError, match="one term or more"):
        alternatives([], torch.ones(4, 0))
