"""`refine fit` of a video on the command line, `preview=`, and evidence and priors of a caller over time."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import refine
from priors.default import default_priors
from priors.joint_limits import JointLimits
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.formats import find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from refine.terms.keypoints import keypoints_from_detections
from refine.video import windows
from tests.layouts.gvhmr import write as write_gvhmr
from tests.moving import RATE, Moving, moving
from tests.video_folders import make_keypoints, make_video

FRAMES = 8
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=3), gate=None)


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Moving:
    return moving(builtin_body, FRAMES)


def test_the_command_takes_a_video(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    result = write_gvhmr(tmp_path / "walk.pt", FRAMES)
    make_video(tmp_path / "walk.avi", FRAMES)
    make_keypoints(tmp_path / "keypoints", result, builtin_body)
    given = ["fit", str(tmp_path / "walk.avi"), "--init", str(result), "--keypoints", str(tmp_path / "keypoints")]
    done = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out"), "--preview", "4"])
    assert done.exit_code in (0, 1), done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"walk_refine.npz", "walk.csv"} <= names and "walk_refined.pt" not in names
    assert len(refine.load(tmp_path / "out" / "walk_refine.npz")) == 4 and done.stdout == ""
    both = CliRunner().invoke(app, [*given, "--out", str(tmp_path / "out"), "--detector", "auto"])
    assert isinstance(both.exception, InputError) or both.exit_code == 2


def test_a_preview_is_the_first_frames_refined_by_themselves(person: Moving) -> None:
    some = person.without(list(range(4, FRAMES)))
    alone = refine.fit_video(None, some.estimate, keypoints=some.detections, fps=RATE, refiner=QUICK)
    for keypoints in (person.detections, person.detections.pixel):
        found = refine.fit_video(None, person.estimate, keypoints=keypoints, fps=RATE, refiner=QUICK, preview=4)
        assert len(found) == 4
    found = refine.fit_video(None, person.estimate, keypoints=person.detections, fps=RATE, refiner=QUICK, preview=4)
    assert torch.allclose(found.joints, alone.joints, atol=1e-5)
    with pytest.raises(InputError, match="preview"):
        refine.fit_video(None, person.estimate, keypoints=person.detections, fps=RATE, preview=1)


def test_evidence_of_a_caller_counts_as_keypoints_do_and_is_silent_where_rows_are_filled_in(person: Moving) -> None:
    some = person.without([3, 4])
    points, estimate = some.detections, some.estimate
    term = keypoints_from_detections(
        person.body.keypoint_set(points.name), points.pixel, points.confidence, estimate.camera,
        estimate.keypoints_2d(points.name), None,
    )  # fmt: skip
    found = refine.fit_video(None, estimate, evidence=[term], fps=RATE, refiner=QUICK)
    assert len(found) == FRAMES and found.observed is not None and int((~found.observed).sum()) == 2
    moved = (found.joints - found.estimate.joints).norm(dim=-1).mean(1)
    assert bool((moved > 1e-3).all()) and bool(found.joints.isfinite().all())
    own = keypoints_from_detections(
        person.body.keypoint_set(points.name), points.pixel, points.confidence, estimate.camera,
        estimate.keypoints_2d(points.name), None,
    )  # fmt: skip
    whole = refine.fit_video(None, estimate, keypoints=points, evidence=[own], fps=RATE, refiner=QUICK)
    assert not torch.allclose(whole.joints, found.joints)


def test_priors_of_a_caller_take_the_place_of_the_default_ones(person: Moving) -> None:
    some = person.without([3, 4])
    given = {"keypoints": some.detections, "fps": RATE, "refiner": QUICK}
    usual = refine.fit_video(None, some.estimate, **given)
    same = refine.fit_video(None, some.estimate, priors=default_priors(some.estimate), **given)
    assert torch.allclose(usual.joints, same.joints, atol=1e-5)
    other = refine.fit_video(None, some.estimate, priors=[JointLimits()], **given)
    assert not torch.allclose(usual.joints, other.joints, atol=1e-3)
    with pytest.raises(InputError, match="evidence"):
        refine.fit_video(None, some.estimate, evidence=[JointLimits], fps=RATE)  # type: ignore[list-item]


def test_long_clips_are_solved_in_windows_of_which_each_row_comes_from_one(
    builtin_body: SkinnedBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = moving(builtin_body, 36)
    given = {"keypoints": person.detections, "fps": RATE, "refiner": refine.Refiner(gate=None)}
    whole = refine.fit_video(None, person.estimate, **given)
    monkeypatch.setattr(windows, "LONGEST_FRAMES", 24)
    monkeypatch.setattr(windows, "OVERLAP_FRAMES", 12)
    found = refine.fit_video(None, person.estimate, **given)
    assert any("2 windows" in note for note in found.notes) and len(found) == 36
    assert torch.equal(found.image_index, whole.image_index)
    shape = found.bodies.shape
    assert torch.equal(shape, shape[:1].expand_as(shape))
    apart = (found.joints - found.joints[:, :1] - whole.joints + whole.joints[:, :1])[:, :22].norm(dim=-1)
    assert float(apart.mean()) < 0.010  # m; see docs/videos.md


def test_windows_cover_every_frame_once_and_overlap(person: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    from refine.inputs.clip import clip_of

    for length, overlap in ((4, 2), (5, 2), (3, 1), (7, 6)):
        monkeypatch.setattr(windows, "LONGEST_FRAMES", length)
        monkeypatch.setattr(windows, "OVERLAP_FRAMES", overlap)
        found = windows.windows_of(clip_of(person.estimate, torch.arange(FRAMES).double() / RATE))
        kept = torch.cat([one.rows[one.kept] for one in found])
        assert sorted(kept.tolist()) == list(range(FRAMES)) and all(len(one.rows) <= length for one in found)
        assert all(int(a.rows[-1]) - int(b.rows[0]) + 1 >= overlap for a, b in pairwise(found))


def test_several_people_in_one_frame_of_a_file_without_identities_are_refused(
    builtin_body: SkinnedBody, tmp_path: Path
) -> None:
    estimate = find.read(write_gvhmr(tmp_path / "walk.pt", FRAMES), builtin_body)
    both = replace(estimate, image_index=torch.zeros(FRAMES, dtype=torch.long))
    with pytest.raises(InputError, match="who is who"):
        refine.fit_video(None, both, keypoints=None, evidence=[], refiner=QUICK)
