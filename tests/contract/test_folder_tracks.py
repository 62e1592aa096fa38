"""Track files of videos, each frame by itself: one file, many frames, refined part by part and put together."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate
from refine.folder import plan
from refine.formats import find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import contents, run_over
from tests.layouts.gvhmr import write as write_gvhmr
from tests.regressor_files import HEIGHT, WIDTH

FRAMES = 20
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2))


@pytest.fixture
def track(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    """`walk.pt`, `walk.avi` and a folder of keypoints, a file a frame."""
    (tmp_path / "results").mkdir()
    path = write_gvhmr(tmp_path / "results" / "walk.pt", FRAMES)
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        writer.write(np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8))
    writer.release()
    (tmp_path / "keypoints").mkdir()
    points = find.read(path, builtin_body).keypoints_2d("body25") + 4.0
    for number, row in enumerate(torch.cat((points, torch.ones(FRAMES, 25, 1)), -1).flatten(1).tolist()):
        name = f"walk_{number:012d}_keypoints.json"
        (tmp_path / "keypoints" / name).write_text(json.dumps({"people": [{"pose_keypoints_2d": row}]}))
    return tmp_path


def run(track: Path, out: str, **options: object) -> refine.folder.outcome.Summary:  # type: ignore[name-defined]
    settings = {"keypoints": track / "keypoints", "jobs": 1, "refiner": QUICK, "independent": True, **options}
    return run_over(track / "results", track / "walk.avi", track / out, **settings)  # type: ignore[arg-type]


def test_a_track_is_read_frame_by_frame_and_written_in_one_file(track: Path) -> None:
    summary = run(track, "out", save_npz=True)
    (one,) = summary.files
    assert one.status == "refined" and one.people == FRAMES and one.format == "gvhmr" and len(one.photos) == FRAMES
    assert one.photos[3] == "walk.avi#3"
    before, after = (find.read(track / name / "walk.pt") for name in ("results", "out"))
    moved = (after.keypoints_2d("coco17") - before.keypoints_2d("coco17")).norm(dim=-1).mean(1)
    assert bool((moved > 0.5).all())
    assert len(refine.load(track / "out" / "walk_refine.npz")) == FRAMES


def test_a_long_track_is_cut_into_parts_and_put_together(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(track, "whole")
    monkeypatch.setattr(plan, "PEEK_BYTES", 1)
    summary = run(track, "parts", chunk_size=6)
    assert [one.part for one in summary.outcomes] == [(0, 6), (6, 12), (12, 18), (18, 20), None]
    (one,) = summary.files
    assert one.status == "refined" and one.people == FRAMES and one.refined == FRAMES
    whole, parts = (find.read(track / name / "walk.pt").keypoints_2d("coco17") for name in ("whole", "parts"))
    assert float((whole - parts).abs().max()) < 0.5
    before = contents(track / "parts")
    (track / "parts" / "walk.pt").unlink()
    assert run(track, "parts", chunk_size=6).done_now == 0 and contents(track / "parts") == before


def test_frames_that_fail_leave_the_others_alone(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (track / "keypoints" / "walk_000000000002_keypoints.json").write_text("{")
    monkeypatch.setattr(plan, "PEEK_BYTES", 1)
    summary = run(track, "out", chunk_size=6)
    (one,) = summary.files
    assert one.status == "partly" and one.refined == FRAMES - 1 and summary.exit_status == 3
    assert "photo 2" in one.reason
    before, after = (find.read(track / name / "walk.pt").source.pose for name in ("results", "out"))
    assert bool((before[2] == after[2]).all()) and bool((before[3] != after[3]).any())


def test_a_part_whose_keypoints_were_mended_is_done_again_alone(track: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PEEK_BYTES", 1)
    broken, late = (track / "keypoints" / f"walk_{number:012d}_keypoints.json" for number in (2, 8))
    whole = broken.read_text()
    broken.write_text("{")
    assert run(track, "out", chunk_size=6).counts == {"partly": 1}
    broken.write_text(whole)
    summary = run(track, "out", chunk_size=6)
    assert summary.counts == {"refined": 1} and summary.done_now == 1 and summary.files[0].refined == FRAMES
    late.write_text(late.read_text() + " \n")
    with pytest.raises(InputError, match=late.name):
        run(track, "out", chunk_size=6)


def test_a_changed_video_is_refused_and_named(track: Path) -> None:
    run(track, "out")
    with (track / "walk.avi").open("r+b") as video:
        video.seek(-100, 2)
        video.write(bytes(100))
    with pytest.raises(InputError, match=r"walk\.avi"):
        run(track, "out")


def test_photos_of_another_number_are_refused(track: Path) -> None:
    frames = track / "images" / "walk"
    frames.mkdir(parents=True)
    for number in range(FRAMES - 1):
        cv2.imwrite(str(frames / f"{number:06d}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    settings = {"keypoints": track / "keypoints", "jobs": 1, "refiner": QUICK}
    summary = run_over(track / "results", track / "images", track / "out", **settings)  # type: ignore[arg-type]
    assert summary.exit_status == 1 and f"expected {FRAMES} photos" in summary.failed[0].reason


def test_rows_taken_out_and_put_back_change_nothing_else(builtin_body: SkinnedBody, track: Path) -> None:
    estimate = find.read(track / "results" / "walk.pt", builtin_body)
    mask = estimate.image_index % 2 == 0
    for index in (slice(2, 5), [4, 1], torch.tensor([7, 3, 0]), mask):
        some = estimate.rows(index)
        assert len(some) == len(some.source) == len(some.image_index) and some.source.arrays is estimate.source.arrays
        moved = some.state.retract(QUICK.unknowns or refine.Unknowns((), 0, 0, 3), torch.ones(len(some), 3))
        back = estimate.with_rows(index, moved)
        assert isinstance(back, Estimate)
        changed = (back.bodies.translation != estimate.bodies.translation).any(1)
        expected = torch.zeros(len(estimate), dtype=torch.bool)
        expected[torch.as_tensor(index) if isinstance(index, list) else index] = True
        assert bool((changed == expected).all()) and bool((back.bodies.pose == estimate.bodies.pose).all())


def test_a_video_needs_to_know_its_first_frame(track: Path) -> None:
    from refine.folder.plan import find_inputs, settle
    from refine.folder.settings import Settings

    for name in ("a_03.npz", "a_05.npz"):
        (track / "results" / name).touch()
    found = find_inputs(track / "results" / "*.npz", track / "out")
    settings = Settings(str(found.root), str(track / "walk.avi"))
    with pytest.raises(InputError, match="--first-frame"):
        settle(settings, found)
    assert settle(replace(settings, first_frame=1), found).first_frame == 1
