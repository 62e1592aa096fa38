"""Doubts about camera and photo: each planted fault is named with its numbers, and ordinary cameras raise none."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.estimate import Estimate
from refine.folder.outcome import read_line
from refine.geometry import rotation
from refine.inputs.camera_doubts import PhotoFacts
from refine.inputs.suspicions import suspicions
from refine.inspection.result_file import inspect
from tests.folders import make_folder
from tests.layouts.glamr import write as write_glamr
from tests.people import HEIGHT, WIDTH, Case, case


@pytest.fixture(scope="module")
def person(builtin_body: SkinnedBody) -> Case:
    return case(builtin_body, count=1)


def seen_by(estimate: Estimate, focal: float, x: float, y: float, size: tuple[int, int]) -> Estimate:
    """The estimate with another camera."""
    old = estimate.camera
    camera = replace(
        old,
        focal=torch.full_like(old.focal, focal),
        center=torch.tensor([[x, y]]),
        size=torch.tensor([size]).to(old.size),
    )
    return replace(estimate, state=replace(estimate.state, camera=camera))


def kinds(estimate: Estimate, photo: PhotoFacts) -> dict[str, str]:
    return {doubt.kind: doubt.sentence for doubt in suspicions(estimate, [photo])}


@pytest.mark.parametrize(
    ("size", "camera", "orientation", "kind", "says"),
    [
        ((480, 640), (600.0, 240.0, 320.0), 6, "turned", "centre (240, 320) fits the photo as stored (480 x 640), not upright (640 x 480)"),  # noqa: E501
        ((480, 640), (600.0, 242.0, 317.0), 8, "turned", "EXIF turn?"),
        ((480, 640), (600.0, 240.0, 320.0), 1, "turned", "turned by a quarter (480 x 640), not as it is (640 x 480)"),
        ((480, 640), (600.0, 960.0, 720.0), 1, "scaled", "a photo of 1920x1440 px, 3.00 times this one's 640x480"),
        ((480, 640), (600.0, 160.0, 120.0), 1, "scaled", "0.50 times"),
        ((480, 640), (600.0, 420.0, 240.0), 1, "off_center", "far from the middle"),
        ((3000, 4000), (26.0, 2000.0, 1500.0), 1, "focal_mm", "looks like one in mm"),
        ((480, 640), (1.2, 320.0, 240.0), 1, "focal_shares", "normalised"),
        ((480, 640), (160.0, 320.0, 240.0), 1, "fisheye", "a fisheye's"),
    ],
)  # fmt: skip
def test_each_fault_of_a_camera_is_named_with_its_numbers(
    person: Case, size: tuple[int, int], camera: tuple[float, float, float], orientation: int, kind: str, says: str
) -> None:
    found = kinds(seen_by(person.estimate, *camera, size), PhotoFacts(size, orientation))
    assert says in found[kind], found


@pytest.mark.parametrize("seed", range(20))
def test_an_ordinary_lens_raises_no_doubt(person: Case, seed: int) -> None:
    draw = np.random.default_rng(seed)
    height, width = (int(side) for side in draw.integers(300, 4000, 2))
    longer = max(height, width)
    focal = longer * draw.uniform(0.5, 20.0)
    x, y = np.array([width, height]) / 2 + longer * draw.uniform(-0.02, 0.02, 2)
    points = torch.tensor(draw.uniform(0, 1, (17, 2)) * [width, height])
    photo = PhotoFacts((height, width), int(draw.integers(1, 9)), points)
    found = suspicions(seen_by(person.estimate, focal, float(x), float(y), (height, width)), [photo])
    named = [doubt for doubt in found if not doubt.kind.startswith("people")]
    turned = (
        photo.orientation != 1
    )  # the person of the case stands: only a turn by a half or a quarter could make it doubtful
    assert not [doubt for doubt in named if doubt.kind != "turned" or not turned], named


def test_points_beyond_the_upright_photo_are_counted(person: Case) -> None:
    points = torch.tensor([[100.0, 100.0 + 35 * row] for row in range(16)])  # down to 625 in a photo 480 high
    found = kinds(seen_by(person.estimate, 600.0, 320.0, 240.0, (480, 640)), PhotoFacts((480, 640), 6, points))
    assert "5 of 16 keypoints lie outside the photo: they fit the photo as stored (480 x 640)" in found["turned"]
    over = torch.tensor([[600.0, 100.0 + 30 * row] for row in range(16)])  # beyond the border, in either photo
    assert not kinds(seen_by(person.estimate, 600.0, 320.0, 240.0, (480, 640)), PhotoFacts((480, 640), 6, over))


@pytest.mark.parametrize(("orientation", "angle"), [(3, np.pi), (6, -np.pi / 2), (8, np.pi / 2)])
def test_people_who_would_stand_after_the_files_turn_are_doubtful(person: Case, orientation: int, angle: float) -> None:
    turn = rotation.exp(torch.tensor([0.0, 0.0, angle]))
    bodies = person.true.bodies
    pose = bodies.pose.clone()
    pose[:, 0] = turn @ pose[:, 0]
    lying = replace(person.true, state=replace(person.true.state, bodies=replace(bodies, pose=pose)))
    lying = seen_by(lying, 480.0, 240.0, 240.0, (480, 480))
    assert "would stand" in kinds(lying, PhotoFacts((480, 480), orientation))["turned"]
    assert not kinds(lying, PhotoFacts((480, 480), 1))
    standing = seen_by(person.true, 480.0, 240.0, 240.0, (480, 480))
    assert not kinds(standing, PhotoFacts((480, 480), orientation))


def save_turned(path: Path, orientation: int = 6) -> Path:
    """A grey photo of the case's size, stored as it is with a tag that turns it."""
    tags = PIL.Image.Exif()
    tags[0x0112] = orientation
    PIL.Image.new("RGB", (WIDTH, HEIGHT), (120, 120, 120)).save(path, exif=tags)
    return path


def test_doubts_are_notes_of_a_result_and_warnings_of_the_log(
    person: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo = save_turned(tmp_path / "photo.png")
    with caplog.at_level(logging.WARNING, logger="refine"):
        stored = [480.0, 480.0, WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5]
        result = refine.fit(photo, person.estimate, keypoints=person.detections, camera=stored)
    said = f"fits the photo as stored ({WIDTH} x {HEIGHT}), not upright ({HEIGHT} x {WIDTH})"
    assert any(said in note for note in result.notes) and any(said in record.message for record in caplog.records)
    fine = refine.fit(person.photos, person.estimate, keypoints=person.detections)
    assert not [note for note in fine.notes if "fit" in note or "centre" in note]


def test_an_estimate_of_the_stored_pixels_is_refused_with_the_cause(person: Case, tmp_path: Path) -> None:
    with pytest.raises(refine.InputError, match="before its EXIF turn"):
        refine.fit(save_turned(tmp_path / "photo.png"), person.estimate, keypoints=person.detections)


def test_keypoints_most_of_which_lie_beyond_the_border_are_refused_with_the_cause() -> None:
    pixel = torch.tensor(
        [[[100.0 + row, 500.0 + 15.0 * row] for row in range(17)]]
    )  # beyond a photo 480 high, within one 800 high
    people = refine.DetectedPeople("coco17", pixel, torch.ones(1, 17))
    with pytest.raises(
        refine.InputError, match=r"turned by a quarter \(480 x 800\): was the detector run without its EXIF turn"
    ):
        people.checked((480, 800))
    with pytest.raises(refine.InputError, match="scale them"):
        people.checked((480, 600))


def test_a_run_says_each_kind_once_with_the_number_of_results(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    for name in folder.names:
        photo = next(folder.images.glob(f"{name}.*"))
        photo.unlink()
        save_turned(photo.with_suffix(".png"))
    arguments = ["--images", str(folder.images), "--keypoints", str(folder.keypoints), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(
        app, ["run", str(folder.results), *arguments, "--camera", "480,480,199.5,239.5", "--jobs", "1"]
    )
    lines = [read_line(line) for line in (tmp_path / "out" / "refine_log.jsonl").read_text().splitlines()]
    doubtful = [one for one in lines if "turned" in one.doubts]
    assert len(doubtful) == 3 and all(one.doubts["turned"] in one.notes for one in doubtful), lines
    assert done.stderr.count("doubtful in 3 of 3 results") == 1 and "as stored" in done.stderr


def test_inspect_and_convert_take_a_camera(person: Case, tmp_path: Path) -> None:
    bodies, path = person.true.bodies, tmp_path / "people.npz"
    words = {
        "global_orient": rotation.log(bodies.pose[:, 0]),
        "body_pose": rotation.log(bodies.pose[:, 1:22]).flatten(1),
    }
    np.savez(path, betas=np.zeros((1, 10)), transl=bodies.translation, **words)
    photo = tmp_path / "photo.png"
    PIL.Image.new("RGB", (WIDTH, HEIGHT)).save(photo)
    out = tmp_path / "out.npz"
    seen = CliRunner().invoke(app, ["inspect", str(path), "--image", str(photo), "--camera", "28"])
    assert seen.exit_code == 0 and "focal 28 px" in seen.stdout and "looks like one in mm" in seen.stdout, seen.output
    without = CliRunner().invoke(app, ["inspect", str(path), "--camera", "fov60"])
    assert without.exit_code == 0 and "size is not known" in without.stdout, without.output
    done = CliRunner().invoke(
        app, ["convert", str(path), "--to", "refine", "--image", str(photo), "--camera", "700", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert refine.load(out).camera.focal.tolist() == [[700.0, 700.0]]
    lost = CliRunner().invoke(app, ["convert", str(path), "--to", "refine", "--camera", "fov60", "--out", str(out)])
    assert lost.exit_code == 2 and "--image" in lost.stderr


def test_a_dry_run_voices_what_a_run_would_and_says_each_kind_once(builtin_body: SkinnedBody, tmp_path: Path) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    arguments = ["--images", str(folder.images), "--keypoints", str(folder.keypoints), "--out", str(tmp_path / "out")]
    fine = CliRunner().invoke(app, ["run", str(folder.results), *arguments, "--dry-run"])
    assert fine.exit_code == 0 and "doubtful" not in fine.stderr, fine.stderr
    for name in folder.names:
        photo = next(folder.images.glob(f"{name}.*"))
        photo.unlink()
        save_turned(photo.with_suffix(".png"))
    camera = ["--camera", "480,480,199.5,239.5"]
    done = CliRunner().invoke(app, ["run", str(folder.results), *arguments, *camera, "--dry-run"])
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    doubts = rows[0].index("doubts")
    assert [row[doubts] for row in rows[1:]] == ["turned"] * 3 and done.exit_code == 0
    assert done.stderr.count("doubtful in 3 of 3 results") == 1 and "as stored" in done.stderr
    assert not (tmp_path / "out").exists()
    lens = CliRunner().invoke(app, ["run", str(folder.results), *arguments, "--camera", "35", "--dry-run"])
    assert "looks like one in mm" in lens.stderr


def test_the_focal_length_a_system_takes_for_any_video_is_no_doubt_about_the_lens(person: Case) -> None:
    wide = seen_by(person.estimate, 1000.0, 1920.0, 1080.0, (2160, 3840))
    photo = PhotoFacts((2160, 3840))
    assert "fisheye" in kinds(wide, photo)
    taken = replace(wide, source=replace(wide.source, any_lens=True))
    assert "fisheye" not in kinds(taken, photo)
    asked = suspicions(taken, [photo], asked_camera=True)  # the caller's camera is no system's habit
    assert "fisheye" in {doubt.kind for doubt in asked}


def test_glamr_takes_a_thousand_px_for_any_video(tmp_path: Path) -> None:
    assert refine.read(write_glamr(tmp_path / "running.pkl")).source.any_lens


def test_no_real_file_is_called_suspicious(real_data: Callable[[str], Path]) -> None:
    for name in ("glamr", "bev_pair", "romp_photo", "sam3d_body"):
        for path in sorted(real_data(name).glob("*.np[z]")) + sorted(real_data(name).glob("*.pkl")):
            assert inspect(path).suspicious == (), path
