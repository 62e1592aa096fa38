"""The gate: right updates are accepted, another person's evidence is not, and of a mistaken limb only that limb comes
back."""

from dataclasses import dataclass, replace

import torch

import refine
from refine.body.anatomy import person
from refine.solve import StopReason
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Linearization
from tests.reference.trust.gate.scene import (
    HARDLY_M,
    KICK,
    PERFECT,
    RIGHT,
    SAME,
    SAME_WHERE_WRONG,
    STRANGER,
    Scene,
    off,
)


def test_right_keypoints_are_believed(scene: Scene, result: refine.Result) -> None:
    before, after = off(scene.estimate, scene.people.true), off(result.refined, scene.people.true)
    assert result.accepted[RIGHT] and result.verdict[RIGHT].startswith("Accepted: ")
    assert after[RIGHT] < 0.8 * before[RIGHT]


def test_another_persons_keypoints_leave_exactly_the_estimate_and_the_verdict_says_why(
    scene: Scene, result: refine.Result, ungated: refine.Result
) -> None:
    assert not result.accepted[STRANGER] and "belong to this person" in result.verdict[STRANGER]
    for name in ("pose", "shape", "expression", "translation"):
        assert torch.equal(getattr(result.bodies, name)[STRANGER], getattr(scene.estimate.bodies, name)[STRANGER])
    assert off(ungated.refined, scene.people.true)[STRANGER] > 2 * off(scene.estimate, scene.people.true)[STRANGER]


def test_of_a_mistaken_limb_only_that_limb_is_put_back(scene: Scene, result: refine.Result) -> None:
    names = scene.estimate.body.joint_names
    still = [joint in person(names).limbs["left leg"] for joint in range(len(names))]
    pose, start = result.bodies.pose[KICK], scene.estimate.bodies.pose[KICK]
    assert result.accepted[KICK] and "but for the left leg, left as it came" in result.verdict[KICK]
    assert torch.equal(pose[still], start[still])
    for moved in ("pelvis", "left_shoulder", "right_hip"):
        assert not torch.equal(pose[names.index(moved)], start[names.index(moved)])


def test_a_perfect_estimate_hardly_moves(scene: Scene, result: refine.Result, ungated: refine.Result) -> None:
    moved = off(result.refined, scene.estimate)[PERFECT]
    assert moved < HARDLY_M and moved < 0.5 * off(ungated.refined, scene.estimate)[PERFECT]


def test_without_a_gate_there_is_no_verdict_and_every_update_is_taken(ungated: refine.Result) -> None:
    assert ungated.verdict == () and ungated.accepted.all() and len(ungated.rounds) == 1
    assert ungated.rounds[-1].quality is None and ungated.rounds[-1].verdict == ()


def test_an_estimate_that_is_better_is_found_to_be_so(result: refine.Result) -> None:
    found = result.rounds[-1].quality
    assert found is not None and result.rounds[0].quality is None
    assert found.scale[PERFECT] < found.scale[RIGHT] < found.scale[STRANGER]


def test_costs_are_those_of_what_is_left(scene: Scene, result: refine.Result) -> None:
    last = result.rounds[-1]
    plain = normal_equations(
        scene.estimate.body, result.state, [*last.evidence, *last.priors], last.solution.unknowns
    ).cost_by_term
    assert torch.allclose(last.solution.cost_by_term, plain, rtol=1e-3, atol=1e-3)
    assert torch.allclose(result.cost, plain.sum(1), rtol=1e-3, atol=1e-3)


def test_the_gate_does_not_feel_the_batch(scene: Scene, result: refine.Result) -> None:
    rows = (STRANGER, KICK)
    alone = scene.fit(rows=rows)
    assert alone.accepted.tolist() == result.accepted[list(rows)].tolist()
    assert (alone.bodies.pose - result.bodies.pose[list(rows)]).abs().max() < SAME_WHERE_WRONG
    kept = [verdict.kept for verdict in result.rounds[-1].verdict]
    assert [verdict.kept for verdict in alone.rounds[-1].verdict] == [kept[row] for row in rows]


def test_bodies_that_were_not_refined_keep_their_own_sentence(scene: Scene) -> None:
    people, bodies = scene.people, scene.people.estimate.bodies
    away, confidence = bodies.translation.clone(), people.detections.confidence.clone()
    confidence[0], away[1, 2], away[2, 0] = 0.0, -4.0, 30.0
    lost = replace(people.estimate, state=replace(people.estimate.state, bodies=replace(bodies, translation=away)))
    result = refine.fit(people.photos, lost, keypoints=replace(people.detections, confidence=confidence))
    reasons = (StopReason.NO_EVIDENCE, StopReason.BEHIND_CAMERA, StopReason.OUTSIDE_IMAGE)
    assert result.stop[:3] == reasons and result.verdict[:3] == tuple(reason.value for reason in reasons)
    assert result.accepted.tolist() == [False, False, False, True]


@dataclass(frozen=True)
class Broken:
    """Evidence that is not a number for one body."""

    row: int

    def linearize(self, state: State, posed: object, unknowns: Unknowns) -> Linearization:
        residual, jacobian = torch.zeros(len(state), 1, 1), torch.zeros(len(state), 1, 1, unknowns.size)
        residual[self.row] = jacobian[self.row] = torch.nan
        return Linearization(residual, jacobian, LeastSquares())


def test_a_body_that_is_not_finite_stays_alone_with_its_trouble(scene: Scene, result: refine.Result) -> None:
    good, rows = result, [RIGHT, KICK]
    seen = refine.Detections("body25", scene.detections.pixel[rows], scene.detections.confidence[rows])
    some = scene.estimate.rows(torch.tensor(rows))
    result = refine.fit(scene.people.photos, some, keypoints=seen, evidence=[Broken(1)])
    assert result.stop[1] == StopReason.NOT_FINITE and not result.accepted[1]
    assert result.verdict[1] == StopReason.NOT_FINITE.value
    assert (result.bodies.pose[0] - good.bodies.pose[RIGHT]).abs().max() < SAME
    # What is said of it afterwards is what is known without evidence, and said of both.
    assert result.sigma_mm[1, :22].mean() > result.sigma_mm[0, :22].mean() and result.sigma_mm[:, :22].isfinite().all()
    assert result.explain()[1].turned.max() == 0 and result.explain()[0].turned.max() > 0
