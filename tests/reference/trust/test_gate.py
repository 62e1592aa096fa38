"""The gate: right updates are accepted, another person's evidence is not, and of a mistaken limb only that limb comes back."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

import refine
from priors.default import default_priors
from refine.body import SkinnedBody
from refine.body.anatomy import person
from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.method.merge import merged
from refine.refiner import Refiner
from refine.result.sentences import sentence, verdict_of
from refine.solve import Decision, Quality, Solution, StopReason, Verdict
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.solve.normal_equations import normal_equations
from refine.state import State, Unknowns
from refine.terms import LeastSquares, Linearization, name_of
from refine.terms.keypoints import keypoints_from_sigma
from refine.trust.discounted import Discounted
from refine.trust.gate import Gate
from refine.trust.limbs import free_limbs, put_back
from refine.trust.sizes import Sizes, sizes_of
from tests.people import Case, case
from tests.synthetic import random_body, random_state

KICK, STRANGER, RIGHT, PERFECT = range(4)
"""The four people of `scene`: what is wrong with the evidence about them."""
SAME = 1e-4
"""Radians and metres by which float32 solves of different batches differ."""
SAME_WHERE_WRONG = 0.01
"""The same where the evidence is wrong: the cost is flat there, and the step limit or the least gain ends the search."""
HARDLY_M = 0.002
"""What a perfect estimate may be moved by in the mean of its joints; without a gate the shape's prior pulls it further."""
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


def off(estimate: Estimate, true: Estimate) -> Tensor:
    """Mean distance (B,) m of the body's joints, pelvises together."""
    here, there = (each.joints[:, :22] - each.joints[:, :1] for each in (estimate, true))
    return (here - there).norm(dim=-1).mean(1)


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
        scene.estimate.body, result.state, [*last.evidence, *last.priors], last.unknowns
    ).cost_by_term
    assert torch.allclose(last.cost_by_term, plain, rtol=1e-3, atol=1e-3)
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


# ---- verdicts of gates with other thresholds on the same rounds ----------------------------------------------------


def judged(gate: Gate, scene: Scene, ungated: refine.Result) -> Solution:
    return gate.judge(scene.estimate, ungated.rounds)


def test_a_gate_that_minds_nothing_accepts_everything(scene: Scene, ungated: refine.Result) -> None:
    solution = judged(NOTHING_IS_TOO_MUCH, scene, ungated)
    assert all(verdict.accepted and not verdict.kept for verdict in solution.verdict)
    assert torch.equal(solution.state.bodies.pose, ungated.bodies.pose)


@pytest.mark.parametrize(
    ("strict", "why"),
    [
        (replace(NOTHING_IS_TOO_MUCH, most_size=1e-6), "times as wrong as regressors usually are"),
        (replace(NOTHING_IS_TOO_MUCH, most_misfit=1e-6), "cannot follow the evidence"),
    ],
)
def test_a_gate_that_minds_everything_says_what(strict: Gate, why: str, scene: Scene, ungated: refine.Result) -> None:
    solution = judged(strict, scene, ungated)
    assert all(
        not verdict.accepted and why in sentence(verdict, StopReason.CONVERGED) and not verdict.kept
        for verdict in solution.verdict
    )
    assert torch.equal(solution.state.bodies.pose, scene.estimate.bodies.pose)
    assert torch.equal(solution.state.bodies.translation, scene.estimate.bodies.translation)


def test_more_wrong_limbs_than_are_allowed_count_with_the_rest(scene: Scene, ungated: refine.Result) -> None:
    """Where every limb is beyond its threshold, the limbs are not excused: the body's own size is that of all of it."""
    picky = replace(NOTHING_IS_TOO_MUCH, most_branch_size=1e-6)
    body, rounds = scene.estimate.body, ungated.rounds
    whole = NOTHING_IS_TOO_MUCH.statistics(body, scene.estimate.state, rounds)
    none = replace(picky, most_branches=0).statistics(body, scene.estimate.state, rounds)
    excused = replace(picky, most_branches=5).statistics(body, scene.estimate.state, rounds)
    assert not none.wrong.any() and not whole.wrong.any() and excused.wrong.all()
    assert torch.allclose(none.size, whole.size)
    assert (excused.size != whole.size).all()


def test_fingers_that_were_free_in_an_earlier_round_are_put_back_with_their_arm(
    scene: Scene, ungated: refine.Result
) -> None:
    names, first = scene.estimate.body.joint_names, ungated.rounds[0]
    finger = next(joint for joint, name in enumerate(names) if name.startswith("left_index"))
    assert finger not in first.unknowns.joints
    step = torch.zeros(4, len(names), 3)
    step[:, finger] = 0.3
    last = replace(first, state=turned_by(ungated.refined, step).state)
    picky = replace(NOTHING_IS_TOO_MUCH, most_branch_size=1e-6, most_branches=9)
    solution = picky.judge(scene.estimate, [first, last])
    assert "left arm" in solution.verdict[RIGHT].kept
    assert torch.equal(solution.state.bodies.pose[RIGHT, finger], scene.estimate.bodies.pose[RIGHT, finger])


def test_an_update_that_explains_nothing_better_is_not_taken(scene: Scene, ungated: refine.Result) -> None:
    there = replace(scene.estimate, state=ungated.state)
    solution = NOTHING_IS_TOO_MUCH.judge(there, [replace(ungated.rounds[0], state=scene.estimate.state)])
    assert not solution.verdict[RIGHT].accepted and solution.verdict[RIGHT].decision is Decision.EXPLAINS_WORSE


def test_sources_that_contradict_each_other_are_noticed(scene: Scene) -> None:
    body, estimate = scene.estimate.body, scene.people.estimate
    points = body.keypoint_set("body25")
    own = estimate.keypoints_2d("body25")
    sources = [
        keypoints_from_sigma(points, scene.people.detections.pixel, torch.full((4, 25), 2.0)),
        keypoints_from_sigma(points, own, torch.full((4, 25), 4.0)),
    ]
    rounds = Refiner(gate=None).refine((), estimate, sources, default_priors(estimate))
    told = replace(NOTHING_IS_TOO_MUCH, most_worse=4.0).judge(estimate, rounds).verdict
    assert all(not verdict.accepted and verdict.decision is Decision.CONTRADICTORY for verdict in told)
    assert all(verdict.accepted for verdict in NOTHING_IS_TOO_MUCH.judge(estimate, rounds).verdict)


def test_a_verdict_has_the_numbers_that_decided_it_and_the_solvers_stop_is_another_story(result: refine.Result) -> None:
    """A minimum of another person's evidence is a minimum, and is not believed."""
    right, stranger = result.judgement[RIGHT], result.judgement[STRANGER]
    gate = Gate()
    assert right.decision is Decision.ACCEPTED and result.judgement[KICK].decision is Decision.PARTLY_ACCEPTED
    assert right.size is not None and stranger.size is not None and right.misfit is not None
    assert right.size < gate.most_size < stranger.size and right.misfit < gate.most_misfit
    assert right.gain is not None and right.gain > 0 and right.unexplained is None
    assert stranger.decision is Decision.TOO_LARGE and stranger.kept == () and "minimum" in StopReason.CONVERGED.value
    assert result.accepted.tolist() == [verdict.accepted for verdict in result.judgement]


def test_an_accepted_update_that_moves_nothing_is_accepted(scene: Scene, result: refine.Result) -> None:
    """Whether an update is believed does not depend on whether tensors differ."""
    same = replace(result, state=result.estimate.state)
    assert same.accepted.tolist() == result.accepted.tolist()
    unjudged = replace(result, judgement=(), stop=(StopReason.STALLED, *(StopReason.NO_EVIDENCE,) * 3))
    assert unjudged.accepted.tolist() == [True, False, False, False] and unjudged.verdict == ()


NUMBERS = {
    "gain": 3.25,
    "size": 1.5,
    "misfit": 2.5,
    "misfit_before": 4.5,
    "worse": 12.0,
    "unexplained": 0.75,
    "unexplained_before": 0.25,
}


@pytest.mark.parametrize("decision", Decision)
def test_a_sentence_gives_its_verdict_back(decision: Decision) -> None:
    """Files of earlier versions have the sentence alone."""
    kept = ("left leg", "head") if decision is Decision.PARTLY_ACCEPTED else ()
    verdict = Verdict(decision, **NUMBERS, kept=kept)
    said = sentence(verdict, StopReason.BEHIND_CAMERA)
    again = verdict_of(said)
    assert again.decision is decision and again.kept == kept
    told = {name: value for name, value in vars(again).items() if name in NUMBERS and value is not None}
    assert all(abs(value - NUMBERS[name]) < 1e-9 for name, value in told.items())
    assert sentence(again, StopReason.BEHIND_CAMERA) == said
    assert decision.value and sentence(Verdict(decision), StopReason.STALLED)  # without numbers it is still said


@pytest.mark.parametrize("name", ["most_size", "most_branch_size", "most_misfit", "most_worse"])
@pytest.mark.parametrize("number", [0.0, -1.0, math.nan])
def test_thresholds_that_are_none_are_refused(name: str, number: float) -> None:
    with pytest.raises(InputError, match="above zero"):
        replace(Gate(), **{name: number})


def test_a_negative_number_of_branches_is_refused() -> None:
    with pytest.raises(InputError, match="gate"):
        Gate(most_branches=-1)


def test_the_size_of_a_part_is_that_of_its_columns() -> None:
    squared = torch.tensor([[8.0, 8.0, 8.0, 0.0, 2.0]])
    sizes = Sizes(squared, torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0]]))
    part = torch.tensor([True, True, True, False, False])
    assert torch.allclose(sizes.of(part), torch.tensor([8.0]).sqrt())
    few = sizes.of(torch.tensor([True, False, False, False, False]))
    assert few < torch.tensor([8.0]).sqrt(), "less than a joint's directions are measured against a joint's"


def test_what_the_evidence_does_not_determine_has_no_directions(scene: Scene, ungated: refine.Result) -> None:
    sizes = sizes_of(scene.estimate.body, ungated.rounds[0])
    assert (sizes.determined >= -SAME).all() and (sizes.determined <= 1 + SAME).all()
    silent = sizes_of(scene.estimate.body, replace(ungated.rounds[0], evidence=()))
    assert silent.determined.abs().max() < SAME and torch.allclose(silent.squared, sizes.squared)


# ---- limbs, and rows put together ----------------------------------------------------------------------------------


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


def solved(seed: int, rows: list[int]) -> Solution:
    """Solutions of some of as many bodies as the keypoint set has points, judged."""
    state = random_state(BODY, MANY, seed)[rows]
    pixel = torch.full((len(rows), MANY, 2), float(seed), dtype=torch.float64)
    noise = torch.full((len(rows),), float(seed), dtype=torch.float64)
    term = Discounted(keypoints_from_sigma(FIVE, pixel, torch.full_like(pixel[..., 0], 3.0)), noise)
    solution = LevenbergMarquardt(steps=0).solve(BODY, state, [term], Unknowns((1,)))
    verdicts = tuple(Verdict(Decision.ACCEPTED, size=float(seed), gain=float(row)) for row in rows)
    return replace(solution, evidence=(term,), quality=Quality(noise, noise), verdict=verdicts)


@pytest.mark.parametrize("rows", [[3, 1], [4, 3, 2, 1, 0]], ids=["some", "all"])
def test_rows_of_two_solutions_are_put_together_with_the_terms_they_rest_on(rows: list[int]) -> None:
    first, second = solved(1, list(range(MANY))), solved(2, rows)
    place = torch.tensor([rows.index(row) if row in rows else 0 for row in range(MANY)])
    take = torch.tensor([row in (1, 3) for row in range(MANY)])
    both = merged(first, second, take, place)
    for row in range(MANY):
        source, at = (second, int(place[row])) if bool(take[row]) else (first, row)
        assert torch.equal(both.state.bodies.pose[row], source.state.bodies.pose[at])
        assert both.cost[row] == source.cost[at] and both.verdict[row] == source.verdict[at]
        assert torch.equal(both.information[row], source.information[at])
        assert both.quality is not None and source.quality is not None
        assert both.quality.scale[row] == source.quality.scale[at]
        mine, its = both.evidence[0], source.evidence[0]
        assert isinstance(mine, Discounted) and isinstance(its, Discounted)
        assert mine.noise[row] == its.noise[at]
        assert torch.equal(mine.term.target[row], its.term.target[at])  # type: ignore[union-attr]
    # The points of the body are nobody's rows, though there are as many.
    assert both.evidence[0].term.points is FIVE  # type: ignore[union-attr]


def test_a_discounted_term_keeps_its_name() -> None:
    term = solved(1, [0, 1, 2, 3, 4]).evidence[0]
    assert name_of(term) == "Keypoints" and solved(1, [0]).term_names == ("Keypoints",)


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
