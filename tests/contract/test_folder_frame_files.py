"""A folder in which each file is one frame of a video and says who is who: one clip, solved as tracks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.folder.outcome import Summary
from refine.formats import find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import contents, run_over
from tests.layouts.easymocap import content
from tests.regressor_files import HEIGHT, WIDTH

FRAMES = 6
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=3), gate=None)


@pytest.fixture
def clip(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    """Two people in the camera's frame, who walk a little from file to file."""
    for name in ("results", "images", "keypoints"):
        (tmp_path / name).mkdir()
    size = torch.tensor([[float(HEIGHT), float(WIDTH)]])
    for number in range(FRAMES):
        people = content()
        for place, person in enumerate(people):
            person["Rh"], person["Th"] = [[0.1, 0.2, 0.1]], [[0.8 * place - 0.4 + 0.02 * number, 0.1, 4.0]]
        path = tmp_path / "results" / f"{number:06d}.json"
        path.write_text(json.dumps(people))
        cv2.imwrite(str(tmp_path / "images" / f"{number:06d}.jpg"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        points = find.read(path, builtin_body, sizes=size).keypoints_2d("body25") + 4.0
        seen = torch.cat((points, torch.ones(len(points), 25, 1)), -1).flatten(1).tolist()
        written = {"people": [{"pose_keypoints_2d": row} for row in seen]}
        (tmp_path / "keypoints" / f"{number:06d}_keypoints.json").write_text(json.dumps(written))
    return tmp_path


def run(clip: Path, out: str, **options: object) -> Summary:
    settings = {"keypoints": clip / "keypoints", "jobs": 1, "refiner": QUICK, "fps": 25.0, **options}
    return run_over(clip / "results", clip / "images", clip / out, **settings)  # type: ignore[arg-type]


def test_the_files_of_a_folder_are_one_clip_and_each_comes_out_as_it_was(clip: Path) -> None:
    summary = run(clip, "out", save_npz=True, chunk_size=2)
    assert summary.counts == {"refined": FRAMES} and all(one.people == one.refined == 2 for one in summary.files)
    assert all(len(one.photos) == 1 for one in summary.files)
    found = [refine.load(clip / "out" / f"{number:06d}_refine.npz") for number in range(FRAMES)]
    assert all(torch.equal(one.bodies.shape, found[0].bodies.shape) for one in found)  # one body from file to file
    times = torch.stack([one.tracks.time_s for one in found if one.tracks is not None])
    assert torch.allclose(times, (torch.arange(FRAMES) / 25.0).double()[:, None].expand(-1, 2), atol=1e-6)
    assert run(clip, "out", save_npz=True, chunk_size=2).done_now == 0


def test_frames_follow_each_other_by_their_numbers(clip: Path) -> None:
    for kind in ("results", "images", "keypoints"):
        for path in sorted((clip / kind).iterdir()):
            number, rest = path.name[:6], path.name[6:]
            path.rename(path.with_name(f"frame_{int(number) + 7}{rest}"))  # 7 .. 12: 10 stands before 7 by name
    run(clip, "out", save_npz=True)
    found = [refine.load(clip / "out" / f"frame_{number}_refine.npz").tracks for number in range(7, 13)]
    times = torch.stack([one.time_s for one in found if one is not None])
    assert torch.allclose(times[:, 0], torch.arange(FRAMES).double() / 25.0, atol=1e-6)


def test_files_by_themselves_have_each_their_own_body(clip: Path) -> None:
    run(clip, "out", independent=True, save_npz=True)
    found = [refine.load(clip / "out" / f"{number:06d}_refine.npz") for number in range(FRAMES)]
    assert not torch.equal(found[0].bodies.shape, found[1].bodies.shape) and found[0].tracks is None


def test_a_file_that_cannot_be_read_is_not_part_of_the_clip(clip: Path) -> None:
    (clip / "results" / "000002.json").write_text('[{"id": 0, "Rh": [[0, 0, 0]], "Th": "broken", "poses": 3}]')
    (clip / "results" / "000004.json").write_text("[]")  # nobody is in it
    summary = run(clip, "out")
    status = {one.result: one.status for one in summary.files}
    assert status.pop("000002.json") == "failed" and status.pop("000004.json") == "unchanged"
    assert set(status.values()) == {"refined"} and "000004.json" in contents(clip / "out")


def test_a_person_who_goes_takes_nobody_along(clip: Path) -> None:
    for number in (3, 4, 5):
        path = clip / "results" / f"{number:06d}.json"
        path.write_text(json.dumps(json.loads(path.read_text())[:1]))
    summary = run(clip, "out")
    assert [one.refined for one in summary.files] == [2, 2, 2, 1, 1, 1]
