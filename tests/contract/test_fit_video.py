"""`refine.fit_video` as a user calls it: tracks solved as one, gaps filled, refused frames, what is refused."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import refine
from refine import Result
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.inputs.frames import frames_of, sizes_only, times_of
from refine.keypoints.detections import Detections
from refine.state import State
from refine.trust.seams import PERCENTILE, accelerations
from tests.moving import RATE, Moving, moving

FRAMES = 16
GONE = [6, 7, 8]


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Moving:
    return moving(builtin_body, FRAMES)


@pytest.fixture(scope="module")
def interrupted(person: Moving) -> Result:
    some = person.without(GONE)
    return refine.fit_video(None, some.estimate, keypoints=some.detections, fps=RATE)


def test_frames_that_are_missing_are_filled_in_behind_the_others_and_marked(interrupted: Result) -> None:
    count = FRAMES - len(GONE)
    assert interrupted.observed is not None and interrupted.observed.tolist() == [True] * count + [False] * len(GONE)
    assert interrupted.image_index[count:].tolist() == GONE
    assert any("filled in" in note for note in interrupted.notes)
    assert interrupted.accepted.all() and all("follows" in said for said in interrupted.verdict[count:])
    assert interrupted.sigma_mm.isfinite().all()


def test_a_track_has_one_shape_and_lies_nearer_to_the_truth_within_gaps_too(
    person: Moving, interrupted: Result
) -> None:
    shape = interrupted.bodies.shape
    assert torch.equal(shape, shape[:1].expand_as(shape))
    order = torch.argsort(interrupted.image_index)
    before, after = person.away_mm(person.estimate.state), person.away_mm(interrupted.state[order])
    assert after.mean() < 0.8 * before.mean() and after[GONE].mean() < 0.9 * before[GONE].mean()


def test_a_result_over_time_is_saved_with_its_times_and_marks(interrupted: Result, tmp_path: Path) -> None:
    interrupted.save(tmp_path / "track.npz")
    back = refine.load(tmp_path / "track.npz")
    assert back.observed is not None and torch.equal(back.observed, interrupted.observed)  # type: ignore[arg-type]
    assert back.tracks is not None and interrupted.tracks is not None
    assert torch.equal(back.tracks.time_s, interrupted.tracks.time_s)
    assert back.judgement == interrupted.judgement
    assert all(one.decision is other.decision for one, other in zip(back.judgement, interrupted.judgement, strict=True))


def test_a_few_frames_with_nonsense_are_carried_by_those_around(person: Moving) -> None:
    wrong = person.detections.pixel.clone()
    wrong[6:9] = wrong[6:9].flip(1) + torch.tensor([60.0, -40.0])
    found = refine.fit_video(None, person.estimate, keypoints=replace(person.detections, pixel=wrong), fps=RATE)
    before, after = (
        (_from_pelvis(person, state) - _from_pelvis(person, person.true))[6:9].norm(dim=-1).mean()
        for state in (person.estimate.state, found.state)
    )
    assert after < 0.6 * before and found.accepted.all()


def _from_pelvis(person: Moving, state: State) -> torch.Tensor:
    joints = pose_body(person.body, state.bodies).joints[:, :22]
    return joints - joints[:, :1]


def test_refused_frames_are_the_estimate_to_the_bit_and_nobody_jumps_beside_them(person: Moving) -> None:
    wrong = person.detections.pixel.clone()
    wrong[5:11] = wrong[5:11].flip(1) + torch.tensor([60.0, -40.0])
    found = refine.fit_video(None, person.estimate, keypoints=replace(person.detections, pixel=wrong), fps=RATE)
    assert not found.accepted[5:11].any() and found.accepted[[0, 1, 2, 3, 12, 13, 14, 15]].all()
    refused = (~found.accepted).nonzero()[:, 0]
    for name in ("pose", "shape", "translation"):
        assert torch.equal(getattr(found.bodies, name)[refused], getattr(person.estimate.bodies, name)[refused])
    assert found.tracks is not None
    _, usual = accelerations(person.body, person.estimate.state, found.tracks)
    rows, size = accelerations(person.body, found.state, found.tracks)
    refused_rows = ~found.accepted
    seam = refused_rows[rows].any(1) & ~refused_rows[rows].all(1)
    assert seam.any() and float(size[seam].max()) <= 1.001 * float(usual.flatten().quantile(PERCENTILE))


def test_independent_frames_are_those_of_fit(person: Moving) -> None:
    some = person.without(list(range(4, FRAMES)))
    found = refine.fit_video(None, some.estimate, keypoints=some.detections, independent=True)
    photos = [np.full((640, 512, 3), 128, dtype=np.uint8)] * len(some.estimate)
    apart = refine.fit(photos, some.estimate, keypoints=some.detections)
    assert torch.allclose(found.state.bodies.pose, apart.state.bodies.pose, atol=1e-4) and found.observed is None


def test_a_folder_of_frames_and_a_video_are_opened_in_their_order(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (64, 48))
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(5):
        frame = np.full((48, 64, 3), 40 * number, np.uint8)
        video.write(frame)
        cv2.imwrite(str(folder / f"{number:03}.png"), frame)
    video.release()
    for source, rate in ((tmp_path / "clip.avi", 25.0), (folder, 30.0)):
        frames = frames_of(source)
        assert frames is not None and len(frames.photos) == 5 and frames.seen
        levels = [int(photo.pixels.mean()) for photo in frames.photos]
        assert all(abs(level - 40 * number) < 4 for number, level in enumerate(levels))
        time_s, notes = times_of(frames, None, None)
        assert torch.allclose(time_s, torch.arange(5).double() / rate) and bool(notes) is (rate == 30.0)


def test_what_is_no_video_is_refused(tmp_path: Path, person: Moving) -> None:
    photo = tmp_path / "still.png"
    cv2.imwrite(str(photo), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    for video, words in (
        (photo, "one photo"),
        (tmp_path / "empty", "a folder without any"),
        (tmp_path / "none.mp4", "none.mp4"),
        ([np.zeros((48, 64, 3), np.uint8)], "one photo"),
    ):
        with pytest.raises(InputError, match=words):
            frames_of(video)
    frames = sizes_only(person.estimate)
    with pytest.raises(InputError, match="Give the video"):
        _ = frames.photos[0].pixels
    with pytest.raises(InputError, match="times, fps"):
        times_of(frames, [0.0] * FRAMES, 30.0)
    with pytest.raises(InputError, match="fps"):
        times_of(frames, None, 0.0)


def test_people_whom_nobody_tells_apart_are_refused(person: Moving) -> None:
    both = person.estimate.rows([0, 1])
    two = replace(both, image_index=torch.tensor([0, 0]), source=replace(both.source, persons=()))
    with pytest.raises(InputError, match="who is who"):
        refine.fit_video(None, two, keypoints=Detections("coco17", torch.zeros(2, 17, 2), torch.zeros(2, 17)))
    twice = replace(two, source=replace(two.source, persons=("anna", "anna")))
    with pytest.raises(InputError, match="each person once"):
        refine.fit_video(None, twice, keypoints=Detections("coco17", torch.zeros(2, 17, 2), torch.zeros(2, 17)))
    with pytest.raises(InputError, match="height_m"):
        refine.fit_video(None, person.estimate, keypoints=person.detections, height_m=[1.7, 1.8])
