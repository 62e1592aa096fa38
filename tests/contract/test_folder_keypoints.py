"""One keypoint file about many photos in a run: whose image is whose, what a dry run finds, what a reason blames."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.folder.outcome import Summary
from refine.formats import find
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.detector_outputs import alphapose, controlnet, mmpose, openpose, poseflow
from tests.folders import run_over
from tests.layouts.gvhmr import write as write_gvhmr
from tests.regressor_files import HEIGHT, WIDTH

FRAMES = 4
QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=2), gate=None)


@pytest.fixture
def track(builtin_body: SkinnedBody, tmp_path: Path) -> Path:
    """`results/walk.pt`, `walk.avi`, and the same frames as photos `images/frame_000000.jpg`, ..."""
    (tmp_path / "results").mkdir()
    write_gvhmr(tmp_path / "results" / "walk.pt", FRAMES)
    (tmp_path / "images").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8)
        writer.write(picture)
        cv2.imwrite(str(tmp_path / "images" / f"frame_{number:06d}.jpg"), picture)
    writer.release()
    return tmp_path


def drawn(track: Path, name: str, body: SkinnedBody) -> np.ndarray:
    """Each frame's person (F, K, 3), 4 px beside the estimate, as a detector that counts from pixel centres writes
    it."""
    pixel = find.read(track / "results" / "walk.pt", body).keypoints_2d(name) + 3.5
    return torch.cat((pixel, torch.ones(*pixel.shape[:2], 1)), -1).numpy().astype(np.float64)


def run(track: Path, content: object, images: str = "walk.avi") -> Summary:
    (track / "all.json").write_text(json.dumps(content))
    return run_over(
        track / "results",
        track / images,
        track / "out",
        keypoints=track / "all.json",
        jobs=1,
        refiner=QUICK,
        resume=False,
    )


def dry(track: Path, content: object, images: str = "walk.avi") -> str:
    """Return the problem a dry run names, and see that its exit status says the same."""
    (track / "all.json").write_text(json.dumps(content))
    call = [
        "run",
        track / "results",
        "--images",
        track / images,
        "--keypoints",
        track / "all.json",
        "--out",
        track / "no",
        "--dry-run",
    ]
    done = CliRunner().invoke(app, [str(part) for part in call])
    problem = done.stdout.splitlines()[1].split("\t")[5]
    assert done.exit_code == (3 if problem else 0) and not (track / "no").exists()
    return problem


def one_each(people: np.ndarray, names: list[str]) -> list[object]:
    return [entry for person, name in zip(people, names, strict=True) for entry in alphapose(person[None], (name,))]


NAMES = {
    "AlphaPose's of a video": [f"{n}.jpg" for n in range(FRAMES)],
    "with folders": [f"/data/set/frame_{n:06d}.jpg" for n in range(FRAMES)],
    "of Windows": [f"D:\\clips\\walk\\frame_{n:06d}.jpg" for n in range(FRAMES)],
    "with another ending": [f"frame_{n:06d}.png" for n in range(FRAMES)],
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("images", ["walk.avi", "images"])
def test_a_file_by_names_is_shared_out_over_frames_and_photos(
    names: str, images: str, track: Path, builtin_body: SkinnedBody
) -> None:
    content = one_each(drawn(track, "coco17", builtin_body), NAMES[names])
    assert dry(track, content, images) == ""
    (one,) = run(track, content, images).files
    assert one.status == "refined" and one.refined == FRAMES
    assert max(one.misfit_before_px) < 4 * 2**0.5 + 0.2  # every frame got its own person


@pytest.mark.parametrize("layout", ["ComfyUI", "a list of OpenPose", "PoseFlow", "MMPose", "by frame", "an array"])
def test_other_files_of_many_frames_are_shared_out(layout: str, track: Path, builtin_body: SkinnedBody) -> None:
    body25, people = drawn(track, "body25", builtin_body), drawn(track, "coco17", builtin_body)
    order = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
    canvas = [
        controlnet(one[None, order] * [640 / WIDTH, 480 / HEIGHT, 1.0], (HEIGHT, WIDTH)) for one in body25
    ]  # the maker draws into 640 x 480
    contents: dict[str, object] = {
        "ComfyUI": canvas,
        "a list of OpenPose": [openpose(one[None]) | {"version": 1.7} for one in body25 + np.array([0.5, 0.5, 0.0])],
        "PoseFlow": poseflow(people),
        "MMPose": [{"frame_id": n, "instances": mmpose(one[None])} for n, one in enumerate(people)],
        "by frame": [{"frame": n, **openpose(one[None] + np.array([0.5, 0.5, 0.0]))} for n, one in enumerate(body25)],
        "an array": (people + np.array([0.5, 0.5, 0.0])).tolist(),
    }
    assert dry(track, contents[layout]) == ""
    (one,) = run(track, contents[layout]).files
    assert one.refined == FRAMES and max(one.misfit_before_px) < 4 * 2**0.5 + 0.2


def test_a_frame_that_the_detector_leaves_out_is_one_with_nobody(track: Path, builtin_body: SkinnedBody) -> None:
    content = one_each(drawn(track, "coco17", builtin_body), [f"{n}.jpg" for n in range(FRAMES)])
    del content[1]
    assert dry(track, content) == ""
    (one,) = run(track, content).files
    assert one.status == "refined" and one.refined == FRAMES  # the frames around it carry it
    assert any("nobody was detected" in note for note in one.notes)


def test_numbers_that_begin_elsewhere_than_the_photos_are_not_guessed(track: Path, builtin_body: SkinnedBody) -> None:
    content = one_each(drawn(track, "coco17", builtin_body), [f"{n + 1}.jpg" for n in range(FRAMES)])
    problem = dry(track, content, "images")
    assert problem.startswith("keypoints of frame_000000.jpg: ") and f"(and {FRAMES - 1} more photos)" in problem


OTHERS = {
    "of other photos": (
        [("other_a.jpg"), ("other_b.jpg"), ("other_c.jpg"), ("other_d.jpg")],
        "got images other_a.jpg, other_b.jpg",
    ),
    "two of one name": (["a/frame_000000.jpg", "b/frame_000000.jpg", "c/x.jpg", "d/y.jpg"], "that may be it"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_run_and_its_dry_run_blame_the_keypoints_not_the_photos(
    other: str, track: Path, builtin_body: SkinnedBody
) -> None:
    names, words = OTHERS[other]
    content = one_each(drawn(track, "coco17", builtin_body), names)
    problem = dry(track, content, "images")
    assert "keypoints of frame_00000" in problem and words in problem
    (one,) = run(track, content, "images").failed
    assert one.reason.startswith(
        "expected keypoints that belong to its photos, got keypoints of photo 0: keypoints of all.json: "
    )
    assert "photos that can be read" not in one.reason and not one.reason.endswith("..")
    assert words in one.reason


def test_a_file_about_one_photo_is_not_taken_for_all(track: Path, builtin_body: SkinnedBody) -> None:
    content = mmpose(drawn(track, "coco17", builtin_body)[:1])
    for images in ("walk.avi", "images"):
        assert f"a file about all {FRAMES} photos, got one about one" in dry(track, content, images)


def test_keypoints_of_another_size_and_broken_ones_are_found_by_the_dry_run(
    track: Path, builtin_body: SkinnedBody
) -> None:
    people = drawn(track, "coco17", builtin_body) * [9.0, 9.0, 1.0]
    assert "points in an image of" in dry(track, one_each(people, [f"{n}.jpg" for n in range(FRAMES)]))
    (track / "all.json").write_text('{"people": [')
    call = [
        "run",
        track / "results",
        "--images",
        track / "images",
        "--keypoints",
        track / "all.json",
        "--out",
        track / "no",
        "--dry-run",
    ]
    done = CliRunner().invoke(app, [str(part) for part in call])
    assert done.exit_code == 3 and "ends in the middle" in done.stdout
