"""What to look at next: the drop that is foretold is the one that comes."""

import pytest
import torch

import refine
from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.errors import InputError
from refine.result.next_evidence import ClickOn, Gain, Height, SeenBy, camera_beside, gains, sentence_of
from refine.solve import inverse_information
from refine.solve.normal_equations import normal_equations
from refine.terms.clicks import Click, clicks
from tests.people import Case, case


@pytest.fixture(scope="module")
def people(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=3, name="coco17", angle=0.1)


@pytest.fixture(scope="module")
def result(people: Case) -> refine.Result:
    return refine.fit(people.photos, people.estimate, keypoints=people.detections)


def sigma_mm(result: refine.Result, covariance: torch.Tensor) -> torch.Tensor:
    _, joints = pose_body(result.body, result.state.bodies).joints_with_jacobian(result.posterior.unknowns)
    moved = (joints[:, 1:BODY_JOINTS] - joints[:, :1]).double().flatten(1, 2)
    return 1e3 * torch.einsum("bmp,bpq,bmq->bm", moved, covariance, moved).mean(1).sqrt()


def test_the_drop_of_a_click_is_that_of_the_posterior_with_the_click(result: refine.Result) -> None:
    pixel = result.keypoints_2d("smpl24")[:, 21]
    given = [Click("right_wrist", tuple(pixel[row].tolist()), row) for row in range(len(result))]
    term = clicks(result.body, result.state, given)
    more = normal_equations(result.body, result.state, [term], result.posterior.unknowns).information.double()
    before = result.posterior.covariance
    after = inverse_information(inverse_information(before) + more)
    (gain,) = result.next_evidence([ClickOn("right_wrist")])
    assert torch.allclose(gain.before_mm.double(), sigma_mm(result, before), rtol=1e-3)
    assert torch.allclose(gain.after_mm.double(), sigma_mm(result, after), rtol=1e-3)


def test_nothing_makes_a_result_less_sure_and_the_best_comes_first(result: refine.Result) -> None:
    found = result.next_evidence()
    assert all((each.after_mm <= each.before_mm + 1e-3).all() for each in found)
    means = [float(each.after_mm.mean()) for each in found]
    assert means == sorted(means) and len({each.candidate.name for each in found}) == len(found)
    assert isinstance(found[0].candidate, SeenBy), "a camera from the side says more than any one click"


def test_a_surer_click_helps_more_and_a_vague_one_not_at_all(result: refine.Result) -> None:
    sure, usual, vague = result.next_evidence([ClickOn("left_knee", sigma) for sigma in (1.0, 5.0, 1e6)])
    assert (sure.drop_mm > usual.drop_mm).all() and (vague.drop_mm.abs() < 1e-2).all()


def test_a_camera_beside_sees_the_person_where_the_own_one_does(people: Case) -> None:
    state = people.estimate.state
    for degrees in (90.0, -90.0, 180.0):
        camera = camera_beside(people.estimate.body, state, degrees)
        pelvis = pose_body(people.estimate.body, state.bodies).joints[:, :1]
        assert torch.allclose(camera.project(pelvis), state.camera.project(pelvis), atol=0.05)
        place = -(camera.camera_from_world[:, :, :3].mT @ camera.camera_from_world[:, :, 3:])[..., 0]
        if degrees == 90.0:
            assert (place[:, 0] > pelvis[:, 0, 0]).all(), "to the right of the person, as the own camera sees it"


def test_the_report_says_what_would_help_most(result: refine.Result) -> None:
    found = gains(result.body, result.state, result.posterior, [Height(), ClickOn("head")])
    text = sentence_of(found, 0)
    assert text.startswith("What would help most") and "a click on the head" in text and "height" in text
    from refine.result.page import page_of

    assert all("What would help most" in body.sure for body in page_of(result, 0).bodies)


def test_an_unknown_person_has_no_sentence() -> None:
    nothing = torch.full((1,), torch.nan)
    assert sentence_of([Gain(Height(), nothing, nothing)], 0) == ""


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_candidate_is_refused(result: refine.Result, tmp_path: object) -> None:
    with pytest.raises(InputError, match="candidate"):
        result.next_evidence(["a click"])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"click\.point"):
        result.next_evidence([ClickOn("third_arm")])
    for wrong in (0.0, -1.0):
        with pytest.raises(InputError, match="above zero"):
            ClickOn("head", wrong)
        with pytest.raises(InputError, match="above zero"):
            Height(wrong)
    result.save(tmp_path / "r.npz")  # type: ignore[operator]
    with pytest.raises(InputError, match="just refined"):
        refine.load(tmp_path / "r.npz").next_evidence()  # type: ignore[operator]
