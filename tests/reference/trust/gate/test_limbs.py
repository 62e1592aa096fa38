"""Limbs that are put back, and rows of two solutions that are put together."""

from dataclasses import replace

import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.solve import Decision, Verdict
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.round import Quality, Round
from refine.state import Unknowns
from refine.terms import name_of
from refine.terms.keypoints import keypoints_from_sigma
from refine.trust.discounted import Discounted
from refine.trust.limbs import free_limbs, put_back
from tests.people import case
from tests.reference.trust.gate.scene import off, turned_by
from tests.synthetic import random_body, random_state


def test_limbs_hold_free_joints_only() -> None:
    names = ("pelvis", "left_hip", "left_knee", "right_hip", "neck", "spine1")
    body = replace(random_body(joints=6, vertices=20, faces=10), joint_names=names)
    assert free_limbs(body, Unknowns((0, 1, 2, 4, 5))) == {"left leg": [1, 2], "head": [4]}
    assert free_limbs(body, Unknowns(())) == {}


def test_what_is_put_back_is_put_back_to_the_bit_and_nothing_else_is() -> None:
    body = random_body(joints=5, vertices=20, faces=10)
    start, there = random_state(body, 3, 1), random_state(body, 3, 2)
    state = put_back(there, start, [1, 3], torch.tensor([True, False, True]))
    assert torch.equal(state.bodies.pose[1], there.bodies.pose[1])
    for row in (0, 2):
        assert torch.equal(state.bodies.pose[row, [1, 3]], start.bodies.pose[row, [1, 3]])
        assert torch.equal(state.bodies.pose[row, [0, 2, 4]], there.bodies.pose[row, [0, 2, 4]])
    assert torch.equal(state.bodies.translation, there.bodies.translation)


BODY = random_body(joints=4, vertices=20, faces=10)
FIVE = BODY.keypoint_set("five")
MANY = len(FIVE.names)


def solved(seed: int, rows: list[int]) -> Round:
    """A round of some of as many bodies as the keypoint set has points, judged."""
    state = random_state(BODY, MANY, seed)[rows]
    pixel = torch.full((len(rows), MANY, 2), float(seed), dtype=torch.float64)
    pixel += torch.tensor(rows)[:, None, None]
    noise = torch.tensor(rows, dtype=torch.float64) + seed
    term = Discounted(keypoints_from_sigma(FIVE, pixel, torch.full_like(pixel[..., 0], 3.0)), noise)
    solution = LevenbergMarquardt(steps=0).solve(BODY, state, [term], Unknowns((1,)))
    verdicts = tuple(Verdict(Decision.ACCEPTED, size=float(seed), gain=float(row)) for row in rows)
    return Round(solution, (term,), (), Quality(noise, noise), verdicts)


@pytest.mark.parametrize("rows", [[3, 1], [4, 3, 2, 1, 0]], ids=["some", "all"])
def test_rows_of_a_round_come_with_the_terms_they_rest_on(rows: list[int]) -> None:
    whole, some = solved(1, list(range(MANY))), solved(1, list(range(MANY))).rows(rows)
    assert some.solution.linear is not None and whole.solution.linear is not None
    for at, row in enumerate(rows):
        assert torch.equal(some.state.bodies.pose[at], whole.state.bodies.pose[row])
        assert some.solution.cost[at] == whole.solution.cost[row] and some.verdict[at] == whole.verdict[row]
        assert torch.equal(some.solution.information[at], whole.solution.information[row])
        assert some.quality is not None and whole.quality is not None
        assert some.quality.scale[at] == whole.quality.scale[row]
        mine, its = some.evidence[0], whole.evidence[0]
        assert isinstance(mine, Discounted) and isinstance(its, Discounted)
        assert mine.noise[at] == its.noise[row]
        assert torch.equal(mine.term.target[at], its.term.target[row])  # type: ignore[union-attr]
        there, here = (each.solution.linear.terms[0].residual for each in (some, whole))
        assert torch.equal(there[at], here[row])
    # The points of the body are nobody's rows, though there are as many.
    assert some.evidence[0].term.points is FIVE  # type: ignore[union-attr]


def test_a_discounted_term_keeps_its_name() -> None:
    term = solved(1, [0, 1, 2, 3, 4]).evidence[0]
    assert name_of(term) == "Keypoints" and solved(1, [0]).solution.term_names == ("Keypoints",)


def test_a_body_turned_around_is_judged_by_the_way_it_went(builtin_body: SkinnedBody) -> None:
    """One seen from the side whose estimate faces the other way, and one as `case` has it."""
    people = case(builtin_body, count=2, angle=0.05)
    step = torch.zeros(2, len(builtin_body.joint_names), 3)
    step[0, 0, 1] = 1.55
    far = people.true.bodies.translation + torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    true = turned_by(people.true, step)
    true = replace(true, state=replace(true.state, bodies=replace(true.bodies, translation=far)))
    around = torch.zeros_like(step)
    around[0, 0, 1] = torch.pi
    wrong = turned_by(true, around)
    pose = torch.stack((wrong.bodies.pose[0], people.estimate.bodies.pose[1]))
    estimate = replace(true, state=replace(true.state, bodies=replace(true.bodies, pose=pose)))
    seen = refine.Detections("body25", true.keypoints_2d("body25"), torch.ones(2, 25))
    result = refine.fit(people.photos, estimate, keypoints=seen)
    assert any("turned around" in note for note in result.notes)
    assert off(result.refined, true)[0] < 0.03 and result.accepted.all()
    assert all(sentence.startswith("Accepted") for sentence in result.verdict)
    near = result.rounds[-1].priors[0]
    assert (near.pose[0, 0] - true.bodies.pose[0, 0]).abs().max() < 0.1, "its prior is around the way it went"  # type: ignore[union-attr]
    assert torch.equal(near.pose[1], pose[1])  # type: ignore[union-attr]
    assert result.sigma_mm[:, 1:22].isfinite().all()
    assert result.explain()[0].turned[0] > 170
