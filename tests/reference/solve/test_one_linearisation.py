"""Each state is linearised once: how often a fit does so, and that what is handed on is what would be found."""

import numpy as np
import pytest
import torch

import refine
from priors.default import default_priors
from refine.body import SkinnedBody, pose_body
from refine.estimate import Estimate, Source
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people as drawn
from refine.refiner import Refiner
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.linearized import linearized
from refine.solve.normal_equations import normal_equations
from refine.state import Unknowns
from refine.terms.keypoints import Keypoints, keypoints_from_sigma
from tests.people import Case, case

MOST = 17
"""Twelve steps in three rounds, three choices of columns, one test of left and right, one where a limb is put back."""


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=2, name="coco17")


@pytest.mark.parametrize("row", range(4))
def test_a_fit_of_keypoints_linearises_them_seventeen_times_at_most(
    row: int, builtin_body: SkinnedBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a person whose estimate is as wrong as usual, seen by a detector that errs by two pixels."""
    true = drawn(builtin_body, 4)[[row]]
    state = disturb(builtin_body, true, "medium", [row])
    points = builtin_body.keypoint_set("coco17")
    pixel = true.camera.project(pose_body(builtin_body, true.bodies).keypoints(points))
    pixel = pixel + 2.0 * torch.randn(pixel.shape, generator=torch.Generator().manual_seed(row))
    bodies = state.bodies
    source = Source("memory", builtin_body.model, bodies.pose, bodies.shape, bodies.expression, bodies.translation)
    estimate = Estimate(builtin_body, state, torch.zeros(1, dtype=torch.long), source)
    height, width = state.camera.size[0].int().tolist()
    photo = np.zeros((height, width, 3), np.uint8)
    times: list[int] = []
    real = Keypoints.linearize

    def counted(self: Keypoints, *arguments: object) -> object:
        times.append(1)
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Keypoints, "linearize", counted)
    result = refine.fit(photo, estimate, keypoints=refine.Detections("coco17", pixel, torch.full((1, 17), 0.9)))
    assert 5 < len(times) <= MOST, len(times)
    before = len(times)
    assert result.sigma_mm.isfinite().any() and len(result.explain()) == 1
    assert len(times) == before, "the posterior and the explanation read the solver's last linearisation"


def test_the_last_linearisation_of_the_solver_is_that_of_its_state(people: Case) -> None:
    """Also of bodies whose last steps were refused."""
    body, estimate = people.estimate.body, people.estimate
    term = keypoints_from_sigma(
        body.keypoint_set("coco17"), people.detections.pixel, torch.full((2, 17), 0.05)
    )  # so narrow that steps are refused
    terms, free = [term, *default_priors(estimate)], Unknowns(tuple(range(22)), 5)
    for steps in range(1, 6):
        found = LevenbergMarquardt(steps=steps, damping=1e-7).solve(body, estimate.state, terms, free)
        assert found.linear is not None
        again = linearized(body, found.state, terms, free)
        for mine, fresh in zip(found.linear.terms, again.terms, strict=True):
            assert torch.allclose(mine.residual, fresh.residual, rtol=1e-3, atol=1e-3)
            assert torch.allclose(mine.jacobian, fresh.jacobian, rtol=1e-3, atol=1e-2)


def test_a_start_that_is_known_is_not_linearised_again_and_changes_nothing(people: Case) -> None:
    body, estimate = people.estimate.body, people.estimate
    term = keypoints_from_sigma(body.keypoint_set("coco17"), people.detections.pixel, torch.full((2, 17), 3.0))
    terms, free = [term, *default_priors(estimate)], Unknowns(tuple(range(22)), 5)
    solver = LevenbergMarquardt()
    plain = solver.solve(body, estimate.state, terms, free)
    known = solver.solve(body, estimate.state, terms, free, start=linearized(body, estimate.state, terms, free))
    assert torch.allclose(plain.state.bodies.pose, known.state.bodies.pose, atol=1e-6)


def test_a_body_that_may_not_move_stays_and_keeps_its_cost(people: Case) -> None:
    body, estimate = people.estimate.body, people.estimate
    term = keypoints_from_sigma(body.keypoint_set("coco17"), people.detections.pixel, torch.full((2, 17), 3.0))
    terms, free = [term, *default_priors(estimate)], Unknowns(tuple(range(22)), 5)
    found = LevenbergMarquardt().solve(body, estimate.state, terms, free, moving=torch.tensor([False, True]))
    assert torch.equal(found.state.bodies.pose[0], estimate.bodies.pose[0]) and found.steps[0] == 0
    assert found.cost[0] == found.cost_before[0] and found.cost[1] < found.cost_before[1]


def test_fewer_columns_are_gathered_not_found_again(people: Case) -> None:
    body, estimate = people.estimate.body, people.estimate
    term = keypoints_from_sigma(body.keypoint_set("coco17"), people.detections.pixel, torch.full((2, 17), 3.0))
    wide, few = Unknowns(tuple(range(55)), 16), Unknowns((0, 3, 16, 18), 7)
    narrow = linearized(body, estimate.state, [term], wide).narrowed(few)
    fresh = linearized(body, estimate.state, [term], few)
    assert narrow.unknowns == few
    assert torch.allclose(narrow.terms[0].jacobian, fresh.terms[0].jacobian, atol=1e-4)
    plain = normal_equations(body, estimate.state, [term], few)
    assert torch.allclose(plain.information, normal_equations(body, estimate.state, [term], wide).information[
        :, wide.places_of(few)[:, None], wide.places_of(few)
    ], rtol=1e-4, atol=1e-3)  # fmt: skip


def test_a_round_keeps_its_linearised_terms_only_where_they_are_read(people: Case) -> None:
    points = people.estimate.body.keypoint_set("coco17")
    term = keypoints_from_sigma(points, people.detections.pixel, torch.full((2, 17), 3.0))
    rounds = Refiner().refine((), people.estimate, [term], default_priors(people.estimate))
    assert len(rounds) == 3
    assert all(one.solution.linear is None for one in rounds[:-1]) and rounds[-1].solution.linear is not None
