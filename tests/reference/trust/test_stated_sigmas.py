"""What a result says: how sure it is, and why a body moved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.result.page import page_of
from refine.terms.keypoints import keypoints_from_sigma
from refine.trust.explanation import REMAINDER, explain
from refine.trust.uncertainty import MM_PER_M
from tests.people import Case, case

ROUNDED = 1e-4


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    """The first is seen, the second is not."""
    people = case(builtin_body, count=2, angle=0.1)
    confidence = people.detections.confidence.clone()
    confidence[1] = 0.0
    return replace(people, detections=replace(people.detections, confidence=confidence))


@pytest.fixture(scope="module")
def result(people: Case) -> refine.Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)


def test_a_result_says_how_sure_its_joints_are(people: Case, result: refine.Result) -> None:
    sigma = result.sigma_mm
    assert sigma.shape == result.joints.shape and sigma.isfinite().all() and (sigma >= 0).all()
    assert (sigma[0, 1:22] < sigma[1, 1:22]).double().mean() > 0.95, "the one that was seen is surer"
    assert sigma[0, 1:22, 2].mean() > sigma[0, 1:22, :2].mean(), "depth is what a photo says least of"
    error = (result.joints - result.joints[:, :1]) - (people.true.joints - people.true.joints[:, :1])
    assert ((MM_PER_M * error[0, 1:22]).abs() < 4 * sigma[0, 1:22]).double().mean() > 0.9


def test_a_result_says_how_sure_some_of_its_vertices_are(result: refine.Result) -> None:
    sigma = result.vertex_sigma_mm([5, 900, 5])
    assert sigma.shape == (2, 3, 3) and sigma.isfinite().all()
    # The same vertex at another place of a batch, and in a shorter one: the same to rounding of float32.
    assert torch.allclose(sigma[:, 0], sigma[:, 2], rtol=ROUNDED)
    assert torch.allclose(result.vertex_sigma_mm(torch.tensor([900])), sigma[:, 1:2], rtol=ROUNDED)


@pytest.mark.parametrize("vertices", [[-1], [10**6]])
def test_vertices_that_do_not_exist_are_refused(vertices: list[int], result: refine.Result) -> None:
    with pytest.raises(InputError, match="vertices"):
        result.vertex_sigma_mm(vertices)


def test_a_file_keeps_sigmas_and_verdicts_but_not_what_they_were_made_of(result: refine.Result, tmp_path: Path) -> None:
    result.save(tmp_path / "result.npz")
    loaded = refine.load(tmp_path / "result.npz")
    assert torch.equal(loaded.sigma_mm, result.sigma_mm) and loaded.verdict == result.verdict != ()
    assert loaded.judgement == result.judgement and loaded.stop == result.stop
    assert loaded.accepted.tolist() == result.accepted.tolist()
    assert loaded.posterior is None
    with pytest.raises(InputError, match="just refined"):
        loaded.vertex_sigma_mm([0])
    with pytest.raises(InputError, match="explain"):
        loaded.explain()
    older = replace(loaded, stored_sigma_mm=None)
    assert older.sigma_mm.isnan().all() and older.sigma_mm.shape == result.joints.shape


def test_a_file_of_an_earlier_version_has_the_verdicts_its_sentences_were_made_of(
    result: refine.Result, tmp_path: Path
) -> None:
    result.save(tmp_path / "result.npz")
    with np.load(tmp_path / "result.npz") as written:
        kept = {name: written[name] for name in written.files if not name.startswith("verdict/")}
    np.savez(tmp_path / "older.npz", allow_pickle=False, **kept)
    older = refine.load(tmp_path / "older.npz")
    assert older.verdict == result.verdict and older.accepted.tolist() == result.accepted.tolist()
    assert [each.decision for each in older.judgement] == [each.decision for each in result.judgement]
    np.savez(tmp_path / "unjudged.npz", allow_pickle=False, **{name: kept[name] for name in kept if name != "verdict"})
    assert refine.load(tmp_path / "unjudged.npz").judgement == ()


def test_without_a_gate_or_priors_nothing_fails(people: Case) -> None:
    free = refine.fit(people.photos, people.estimate, keypoints=people.detections, refiner=refine.Refiner(gate=None))
    assert free.sigma_mm.isfinite().all() and free.verdict == ()
    bare = refine.fit(people.photos, people.estimate, keypoints=people.detections, priors=())
    assert bare.sigma_mm.isnan().all() and len(bare.explain()) == 2


# ---- why a body moved ----------------------------------------------------------------------------------------------


def test_the_parts_of_the_terms_add_up_to_what_a_joint_turned(result: refine.Result) -> None:
    told = result.explain()[0]
    assert told.degrees.shape == (len(told.term_names), len(told.joint_names)) and told.term_names[-1] == REMAINDER
    assert torch.allclose(told.degrees.sum(0), told.turned, atol=1e-3)
    free = [result.body.joint_names.index(name) for name in told.joint_names]
    assert torch.allclose(told.turned.float(), result.turned[0, free].float(), atol=0.05)
    assert told.degrees[-1].abs().max() < 0.2 * told.turned.max(), "the terms explain most of it"
    cause = told.term_names.index("Keypoints")
    assert told.degrees[cause].abs().sum() > 0.8 * told.turned.sum()


def test_a_body_that_did_not_move_needs_no_explanation(result: refine.Result) -> None:
    told = result.explain()[1]
    assert (told.turned == 0).all() and (told.degrees == 0).all() and told.term_names == (REMAINDER,)


def test_a_term_without_effect_turned_nothing(people: Case, result: refine.Result) -> None:
    points = result.body.keypoint_set("body25")
    silent = keypoints_from_sigma(points, people.detections.pixel, torch.full((2, 25), torch.inf))
    last = result.rounds[-1]
    with_it = explain(result.body, people.estimate.state, replace(last, evidence=(*last.evidence, silent)))[0]
    assert with_it.term_names.count("Keypoints") == 1
    assert torch.allclose(with_it.degrees, result.explain()[0].degrees, atol=1e-3)


def test_an_explanation_prints_as_a_table(result: refine.Result) -> None:
    told = result.explain()[0]
    head, *rows = str(told).splitlines()
    assert all(name in head for name in ("joint", "turned", *told.term_names))
    assert rows[0].startswith(told.joint_names[int(told.turned.argmax())]) and len({len(row) for row in rows}) == 1


def test_the_report_says_verdict_certainty_and_causes(result: refine.Result) -> None:
    seen, unseen = page_of(result, 0).bodies[0], page_of(result, 1).bodies[0]
    assert seen.verdict == result.verdict[0] and "mm in depth" in seen.sure
    assert "Keypoints" in seen.terms and seen.moved and len(seen.moved[0].by_term) == len(seen.terms)
    assert unseen.verdict == result.verdict[1] and not unseen.moved
