"""Verdicts of gates with other thresholds on the same rounds, and the sentences they are told in."""

import math
from dataclasses import replace

import pytest
import torch

import refine
from priors.default import default_priors
from refine.errors import InputError
from refine.refiner import Refiner
from refine.result.sentences import sentence, verdict_of
from refine.solve import Decision, StopReason, Verdict
from refine.solve.round import Round
from refine.state import State
from refine.terms.keypoints import keypoints_from_sigma
from refine.trust.gate import Gate
from refine.trust.sizes import Sizes, sizes_of
from tests.reference.trust.gate.scene import KICK, NOTHING_IS_TOO_MUCH, RIGHT, SAME, STRANGER, Scene, turned_by


def judged(gate: Gate, scene: Scene, ungated: refine.Result) -> Round:
    return gate.judge(scene.estimate, ungated.rounds)


def at(one: Round, state: State) -> Round:
    """The round as if it had ended at another state."""
    return replace(one, solution=replace(one.solution, state=state, linear=None))


def test_a_gate_that_minds_nothing_accepts_everything(scene: Scene, ungated: refine.Result) -> None:
    last = judged(NOTHING_IS_TOO_MUCH, scene, ungated)
    assert all(verdict.accepted and not verdict.kept for verdict in last.verdict)
    assert torch.equal(last.state.bodies.pose, ungated.bodies.pose)


@pytest.mark.parametrize(
    ("strict", "why"),
    [
        (replace(NOTHING_IS_TOO_MUCH, most_size=1e-6), "times as wrong as regressors usually are"),
        (replace(NOTHING_IS_TOO_MUCH, most_misfit=1e-6), "cannot follow the evidence"),
    ],
)
def test_a_gate_that_minds_everything_says_what(strict: Gate, why: str, scene: Scene, ungated: refine.Result) -> None:
    last = judged(strict, scene, ungated)
    assert all(
        not verdict.accepted and why in sentence(verdict, StopReason.CONVERGED) and not verdict.kept
        for verdict in last.verdict
    )
    assert torch.equal(last.state.bodies.pose, scene.estimate.bodies.pose)
    assert torch.equal(last.state.bodies.translation, scene.estimate.bodies.translation)


def test_more_wrong_limbs_than_are_allowed_count_with_the_rest(scene: Scene, ungated: refine.Result) -> None:
    """Where every limb is beyond its threshold, the limbs are not excused: the body's own size is that of all of it."""
    picky = replace(NOTHING_IS_TOO_MUCH, most_branch_size=1e-6)
    body, rounds = scene.estimate.body, ungated.rounds
    whole = NOTHING_IS_TOO_MUCH.departure(body, rounds[0])
    none = replace(picky, most_branches=0).departure(body, rounds[0])
    excused = replace(picky, most_branches=5).departure(body, rounds[0])
    assert not none.wrong.any() and not whole.wrong.any() and excused.wrong.all()
    assert torch.allclose(none.size, whole.size)
    assert (excused.size != whole.size).all()


def test_fingers_that_were_free_in_an_earlier_round_are_put_back_with_their_arm(
    scene: Scene, ungated: refine.Result
) -> None:
    names, first = scene.estimate.body.joint_names, ungated.rounds[0]
    finger = next(joint for joint, name in enumerate(names) if name.startswith("left_index"))
    assert finger not in first.solution.unknowns.joints
    step = torch.zeros(4, len(names), 3)
    step[:, finger] = 0.3
    last = at(first, turned_by(ungated.refined, step).state)
    picky = replace(NOTHING_IS_TOO_MUCH, most_branch_size=1e-6, most_branches=9)
    judged = picky.judge(scene.estimate, [first, last])
    assert "left arm" in judged.verdict[RIGHT].kept
    assert torch.equal(judged.state.bodies.pose[RIGHT, finger], scene.estimate.bodies.pose[RIGHT, finger])


def test_an_update_that_explains_nothing_better_is_not_taken(scene: Scene, ungated: refine.Result) -> None:
    there = replace(scene.estimate, state=ungated.state)
    last = NOTHING_IS_TOO_MUCH.judge(there, [at(ungated.rounds[0], scene.estimate.state)])
    assert not last.verdict[RIGHT].accepted and last.verdict[RIGHT].decision is Decision.EXPLAINS_WORSE


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
    silent = sizes_of(scene.estimate.body, replace(at(ungated.rounds[0], ungated.rounds[0].state), evidence=()))
    assert silent.determined.abs().max() < SAME and torch.allclose(silent.squared, sizes.squared)
