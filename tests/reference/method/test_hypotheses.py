"""Several starts of a person, of which the best is kept."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor

import refine
from priors.default import default_priors
from refine.body import PosedBody, SkinnedBody
from refine.estimate import Estimate
from refine.method.hypotheses import hypotheses
from refine.method.swaps import swaps_of
from refine.solve.start import Kind
from refine.state import State, Unknowns, one_shape
from refine.terms import GemanMcClure, Kernel, Linearization
from refine.terms.keypoints import Keypoints
from tests.people import Case, case

NEAR_M = 0.01


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=4, name="coco17", angle=0.1)


def swapped(people: Case, rows: list[int], kind: Kind) -> refine.Detections:
    seen = people.detections
    points = people.estimate.body.keypoint_set(seen.name)
    order = torch.arange(len(points.names)).repeat(len(people.estimate), 1)
    order[rows] = torch.tensor(next(swap.order for swap in swaps_of(points) if swap.kind is kind))
    return seen.reordered(order)


def off(one: Estimate, other: Estimate) -> Tensor:
    """Mean distance (B,) of two estimates' joints, m."""
    return (one.joints - other.joints).norm(dim=-1).mean(1)


@pytest.mark.parametrize("kind", [Kind.SWAPPED, Kind.SWAPPED_ARMS, Kind.SWAPPED_LEGS])
def test_a_person_with_swapped_keypoints_becomes_as_good_as_with_right_ones(kind: Kind, people: Case) -> None:
    right = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    result = refine.fit(people.photos, people.estimate, keypoints=swapped(people, [1, 3], kind))
    assert (off(result.refined, right.refined) < NEAR_M).all()
    assert [start.kind for start in result.rounds[-1].start] == [Kind.AS_GIVEN, kind, Kind.AS_GIVEN, kind]
    assert [note for note in result.notes if kind.value in note] == [
        f"Person {number}: {kind.value}" for number in (2, 4)
    ]
    # What the result says of its keypoints is about those that were used.
    assert result.detections is not None
    assert torch.allclose(result.detections.pixel, people.detections.pixel)
    assert torch.allclose(result.misfit, right.misfit, atol=0.5) and result.accepted.all()
    assert len(result) == 4 and all(len(one.state) == 4 for one in result.rounds)


def test_a_body_does_not_feel_that_anothers_keypoints_are_swapped(people: Case) -> None:
    right = refine.fit(people.photos, people.estimate, keypoints=people.detections)
    result = refine.fit(people.photos, people.estimate, keypoints=swapped(people, [1], Kind.SWAPPED))
    for row in (0, 2, 3):
        assert (result.refined.joints[row] - right.refined.joints[row]).norm(dim=-1).max() < 1e-4
        assert result.judgement[row].decision is right.judgement[row].decision


@dataclass(frozen=True, eq=False)
class Pull:
    """A caller's own term, which knows its rows by a method: the translation is pulled to where it is."""

    where: Tensor
    kernel: Kernel = GemanMcClure()

    def rows(self, index: Tensor) -> "Pull":
        return Pull(self.where[index])

    def linearize(self, state: State, posed: PosedBody, unknowns: Unknowns) -> Linearization:
        residual = (state.bodies.translation - self.where)[:, None]
        jacobian = residual.new_zeros(*residual.shape, unknowns.size)
        jacobian[..., unknowns.translation_columns] = torch.eye(3)
        return Linearization(residual, jacobian, self.kernel)


@dataclass(frozen=True, eq=False)
class Stubborn(Pull):
    """The same without rows."""

    rows = None  # type: ignore[assignment]


def test_the_callers_own_terms_come_along(people: Case) -> None:
    seen = swapped(people, [1], Kind.SWAPPED)
    own = [Pull(people.true.bodies.translation)]
    priors = default_priors(people.estimate)
    result = refine.fit(people.photos, people.estimate, keypoints=seen, evidence=own, priors=priors)
    assert result.rounds[-1].start[1].kind is Kind.SWAPPED and off(result.refined, people.true)[1] < 0.1


def test_where_a_term_does_not_know_its_rows_nothing_else_is_tried(people: Case) -> None:
    seen = swapped(people, [1], Kind.SWAPPED)
    own = [Stubborn(people.true.bodies.translation)]
    result = refine.fit(people.photos, people.estimate, keypoints=seen, evidence=own)
    assert all(start.kind is Kind.AS_GIVEN for start in result.rounds[-1].start)


def test_a_callback_sees_the_people_as_they_came(people: Case) -> None:
    sizes: list[int] = []
    refine.fit(
        people.photos, people.estimate, keypoints=swapped(people, [1], Kind.SWAPPED),
        callback=lambda number, solution: sizes.append(len(solution.state)),
    )  # fmt: skip
    assert sizes == [4] * 3


def test_without_left_and_right_or_keypoints_there_is_one_start(people: Case) -> None:
    body, estimate = people.estimate.body, people.estimate
    assert len(hypotheses(estimate, (), default_priors(estimate)).person) == 4
    points = replace(body.keypoint_set("coco17"), names=tuple(f"point{place}" for place in range(17)))
    term = Keypoints(points, people.detections.pixel.flip(1), torch.eye(2).expand(4, 17, 2, 2))
    assert len(hypotheses(estimate, [term], default_priors(estimate)).person) == 4


def test_terms_and_columns_of_a_second_start_are_the_persons_own(people: Case) -> None:
    estimate, seen = people.estimate, swapped(people, [2], Kind.SWAPPED)
    term = Keypoints(estimate.body.keypoint_set("coco17"), seen.pixel, torch.eye(2).expand(4, 17, 2, 2) / 4)
    free = torch.rand(4, 3 * 22 + 3) > 0.1
    unknowns = Unknowns(tuple(range(22)), free=free)
    found = hypotheses(estimate, [term], default_priors(estimate), None, unknowns)
    assert found.person.tolist() == [0, 1, 2, 3, 2] and found.count == 4
    read = found.evidence[0]
    assert isinstance(read, Keypoints) and torch.allclose(read.target[4], people.detections.pixel[2])
    assert torch.equal(read.target[:4], term.target)
    assert found.unknowns is not None and found.unknowns.free is not None
    assert torch.equal(found.unknowns.free[4], free[2])
    assert np.array_equal(found.estimate.image_index.numpy(), [0, 1, 2, 3, 2])


def test_rows_that_share_take_the_likely_order_at_once(people: Case) -> None:
    seen, body = swapped(people, [1], Kind.SWAPPED), people.estimate.body
    columns = Unknowns(body.anatomy.core_joints, shape=body.shape_basis.shape[2])
    alone = refine.fit(people.photos, people.estimate, keypoints=seen, refiner=refine.Refiner(unknowns=columns))
    apart = replace(columns, groups=one_shape(["anna", "ben", "carl", None]))
    result = refine.fit(people.photos, people.estimate, keypoints=seen, refiner=refine.Refiner(unknowns=apart))
    assert [start.kind is Kind.SWAPPED for start in result.rounds[-1].start] == [False, True, False, False]
    assert (off(result.refined, alone.refined) < 1e-3).all() and torch.allclose(
        result.sigma_mm, alone.sigma_mm, rtol=0.02
    )


def test_a_person_without_evidence_is_as_unsure_in_a_group_as_alone(people: Case) -> None:
    seen, body = people.detections, people.estimate.body
    confidence = seen.confidence.clone()
    confidence[1] = 0
    columns = Unknowns(body.anatomy.core_joints, shape=body.shape_basis.shape[2])
    sigma = [
        refine.fit(
            people.photos, people.estimate, keypoints=refine.Detections(seen.name, seen.pixel, confidence),
            refiner=refine.Refiner(unknowns=unknowns),
        ).sigma_mm
        for unknowns in (columns, replace(columns, groups=one_shape([0, 1, 2, 3])))
    ]  # fmt: skip
    assert (sigma[1][1, 1:22] > 5).all() and torch.allclose(sigma[0], sigma[1], rtol=0.02)


def test_keypoints_of_a_second_camera_are_swapped_back_too(people: Case) -> None:
    """Those of the body's own camera are right, and what the result shows of them stays as it was given."""
    estimate, seen = people.estimate, people.detections
    points, info = estimate.body.keypoint_set("coco17"), torch.eye(2).expand(4, 17, 2, 2) / 4
    order = torch.tensor(swaps_of(points)[0].order)
    beside = Keypoints(points, seen.pixel[:, order], info, camera=estimate.camera)
    result = refine.fit(people.photos, estimate, keypoints=seen, evidence=[beside])
    assert all(start.kind is Kind.SWAPPED and start.order is None for start in result.rounds[-1].start)
    assert result.accepted.all() and (result.misfit < 3).all() and result.detections is not None
    assert torch.equal(result.detections.pixel, seen.pixel)
