"""What a call of `refine.fit` and a run over a folder make of the same inputs: the same bodies and notes, or
refusal."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import refine
from refine.body import SkinnedBody
from refine.commands.cli import app
from refine.errors import InputError
from refine.folder.outcome import FAILED, reason_of
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from refine.result import Result
from refine.solve.levenberg_marquardt import LevenbergMarquardt
from tests.folders import HEIGHT, WIDTH, smplx_translation
from tests.people import case

QUICK = refine.Refiner(solver=LevenbergMarquardt(steps=3), gate=None)
K = {"K": [[480.0, 0.0, WIDTH / 2], [0.0, 470.0, HEIGHT / 2], [0.0, 0.0, 1.0]]}
SAME_RAD = 1e-3
"""Rounding of another batch, which three steps of the solver carry on."""


@dataclass(frozen=True)
class Place:
    """A result of two people in two photos, each photo with its keypoint file; and the camera that is asked for."""

    root: Path
    camera: str | None = None

    @property
    def result(self) -> Path:
        return self.root / "results" / "two.npz"

    @property
    def photos(self) -> list[Path]:
        return sorted((self.root / "images").iterdir())

    @property
    def keypoints(self) -> list[Path | None]:
        paths = [self.root / "keypoints" / f"{photo.stem}_keypoints.json" for photo in self.photos]
        return [path if path.is_file() else None for path in paths]

    def change(self, **arrays: np.ndarray | None) -> None:
        """Change arrays of the result; None takes one away."""
        with np.load(self.result) as stored:
            content = {name: stored[name] for name in stored.files} | arrays
        np.savez(self.result, **{name: value for name, value in content.items() if value is not None})  # type: ignore[arg-type]

    def asks(self, camera: object) -> "Place":
        """Return the place with a camera file."""
        path = self.root / "K.json"
        path.write_text(camera if isinstance(camera, str) else json.dumps(camera))
        return Place(self.root, str(path))

    def by_call(self) -> Result | str:
        try:
            return refine.fit(
                list(self.photos), self.result, keypoints=self.keypoints, camera=self.camera, refiner=QUICK
            )
        except InputError as error:
            return reason_of(error, self.result.name)

    def by_run(self) -> Result | str:
        settings = Settings(
            results=self.root / "results", images=self.root / "images", keypoints=self.root / "keypoints",
            camera=self.camera, save_npz=True,
        )  # fmt: skip
        try:
            (one,) = run_folder(settings, self.root / "out", jobs=1, refiner=QUICK).files
        except InputError as error:
            return reason_of(error, self.result.name)
        return one.reason if one.status == FAILED else refine.load(self.root / "out" / "two_refine.npz")


@pytest.fixture
def place(builtin_body: SkinnedBody, tmp_path: Path) -> Place:
    people = case(builtin_body, 2, angle=0.15)
    estimate = people.estimate
    for name in ("results", "images", "keypoints"):
        (tmp_path / name).mkdir()
    for row, points in enumerate(people.detections.pixel):
        photo = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        cv2.imwrite(str(tmp_path / "images" / f"photo_{row}.png"), photo)
        write_people(tmp_path, row, points[None])
    turns = refine.geometry.rotation.log(estimate.bodies.pose).numpy()  # type: ignore[attr-defined]
    np.savez(
        tmp_path / "results" / "two.npz", global_orient=turns[:, 0], body_pose=turns[:, 1:22].reshape(2, 63),
        transl=smplx_translation(estimate), focal=np.full((2, 2), 480.0), size=np.array([[HEIGHT, WIDTH]] * 2),
        image_index=np.arange(2),
    )  # fmt: skip
    return Place(tmp_path)


def write_people(root: Path, photo: int, points: torch.Tensor, name: str = "pose_keypoints_2d") -> None:
    rows = torch.cat((points - 0.5, torch.ones(*points.shape[:2], 1)), -1).flatten(1).tolist()
    written = {"version": 1.3, "people": [{name: row} for row in rows]}
    (root / "keypoints" / f"photo_{photo}_keypoints.json").write_text(json.dumps(written))


def points_of(place: Place, photo: int) -> torch.Tensor:
    written = json.loads((place.keypoints[photo] or Path()).read_text())["people"][0]["pose_keypoints_2d"]
    return torch.tensor(written).reshape(1, 25, 3)[..., :2] + 0.5


def another_size(place: Place) -> Place:
    """The second photo is twice as large, and the result says so."""
    cv2.imwrite(str(place.photos[1]), np.full((2 * HEIGHT, 2 * WIDTH, 3), 90, np.uint8))
    place.change(size=np.array([[HEIGHT, WIDTH], [2 * HEIGHT, 2 * WIDTH]]))
    return place


def rotations(place: Place, sign: float) -> Place:
    with np.load(place.result) as stored:
        root = torch.from_numpy(stored["global_orient"])
    place.change(global_orient=(sign * refine.geometry.rotation.exp(root)).numpy())  # type: ignore[attr-defined]
    return place


def coco_in_the_second(place: Place) -> Place:
    body25 = points_of(place, 1)[0]
    coco = body25[[0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]]
    (place.keypoints[1] or Path()).write_text(json.dumps([{"keypoints": coco.tolist(), "keypoint_scores": [1.0] * 17}]))
    return place


def turned_photo(place: Place) -> Place:
    """The second photo is stored lying on its side, with an EXIF tag that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    place.photos[1].unlink()
    Image.fromarray(np.full((WIDTH, HEIGHT, 3), 90, np.uint8)).save(place.root / "images" / "photo_1.jpg", exif=exif)
    return place


def without_numbers(place: Place) -> Place:
    with np.load(place.result) as stored:
        transl = stored["transl"].copy()
    transl[0] = np.nan
    place.change(transl=transl)
    write_people(place.root, 0, torch.zeros(0, 25, 2))
    return place


def moved(place: Place, shift: float) -> Place:
    write_people(place.root, 1, points_of(place, 1) + shift)
    return place


def several_people(place: Place) -> Place:
    write_people(place.root, 1, torch.cat((points_of(place, 1) + 300.0, points_of(place, 1))))
    return place


def nobody(place: Place) -> Place:
    write_people(place.root, 1, torch.zeros(0, 25, 2))
    return place


def no_file(place: Place) -> Place:
    (place.keypoints[1] or Path()).unlink()
    return place


def broken(place: Place) -> Place:
    for path in place.keypoints:
        (path or Path()).write_text('{"people": [')
    return place


def cut_off(place: Place) -> Place:
    for path in place.photos:
        path.write_bytes(path.read_bytes()[:-20])
    return place


DONE: dict[str, Callable[[Place], Place]] = {
    "as it should be": lambda place: place,
    "a camera file": lambda place: place.asks(K),
    "a bent lens": lambda place: place.asks(K | {"distortion": [-0.2, 0.05, 0.0, 0.0]}),
    "a focal rule of several sizes": lambda place: Place(another_size(place).root, "diagonal"),
    "a focal length of several sizes": lambda place: Place(another_size(place).root, "500"),
    "rotation matrices": lambda place: rotations(place, 1.0),
    "a turned photo": turned_photo,
    "a person without numbers": without_numbers,
    "people nobody lies near": lambda place: moved(place, 150.0),
    "more people than bodies": several_people,
    "nobody detected": nobody,
    "no keypoint file of a photo": no_file,
}

REFUSED: dict[str, tuple[Callable[[Place], Place], str]] = {
    "one camera of several sizes": (lambda place: another_size(place).asks(K), "photos of one size"),
    "one camera file of several sizes": (
        lambda place: another_size(place).asks({"fx": 480, "fy": 480, "cx": 200, "cy": 240}), "photos of one size",
    ),
    "a camera file of another size": (lambda place: place.asks(K | {"size": [100, 100]}), "the size of the photo"),
    "a camera file that is none": (lambda place: place.asks('{"K": ['), "JSON"),
    "a camera file without intrinsics": (lambda place: place.asks({"fx": 1}), "the keys"),
    "shares in a camera file": (lambda place: place.asks({"fx": 1.2, "fy": 1.6, "cx": 0.5, "cy": 0.5}), "shares of it"),
    "reflections": (lambda place: rotations(place, -1.0), "rotation matrices"),
    "two detectors": (coco_in_the_second, "one detector's keypoints"),
}  # fmt: skip

ALL_PHOTOS: dict[str, tuple[Callable[[Place], Place], str]] = {
    "broken keypoint files": (broken, "ends in the middle"),
    "photos that break off": (cut_off, "breaks off"),
    "another person's photo": (
        lambda place: [cv2.imwrite(str(path), np.zeros((50, 60, 3), np.uint8)) for path in place.photos] and place,
        "60x50 px",
    ),
    "keypoints of another size": (lambda place: moved(moved_first(place), 9000.0), "points in an image of"),
}  # fmt: skip
"""A run leaves single photos out, and says why; a call has no photo to leave out."""


def moved_first(place: Place) -> Place:
    write_people(place.root, 0, points_of(place, 0) + 9000.0)
    return place


@pytest.mark.parametrize("case", DONE)
def test_a_call_and_a_run_refine_the_same_bodies_and_say_the_same(place: Place, case: str) -> None:
    place = DONE[case](place)
    call, run = place.by_call(), place.by_run()
    assert isinstance(call, Result) and isinstance(run, Result), (call, run)
    usable = [row for row in range(2) if bool(call.bodies.pose[row].isfinite().all())]
    assert len(run) == len(usable)
    away = refine.geometry.rotation.log(call.state.bodies.pose[usable].mT @ run.bodies.pose)  # type: ignore[attr-defined]
    assert float(away.abs().max()) < SAME_RAD
    assert torch.allclose(call.camera.focal[usable], run.camera.focal)
    assert torch.allclose(call.misfit_before[usable], run.misfit_before, atol=1e-2, equal_nan=True)
    said = tuple(
        re.sub(r"^image\[\d\] ", "photo ", note) for note in call.notes
    )  # each names the photo in its caller's words
    assert said == run.notes
    if call.detections is not None and run.detections is not None:
        assert torch.allclose(call.detections.pixel[usable], run.detections.pixel, atol=1e-3)


@pytest.mark.parametrize("case", REFUSED)
def test_a_call_and_a_run_refuse_the_same_in_the_same_words(place: Place, case: str) -> None:
    spoil, word = REFUSED[case]
    place = spoil(place)
    call, run = place.by_call(), place.by_run()
    assert isinstance(call, str) and word in call and run == call


@pytest.mark.parametrize("case", ALL_PHOTOS)
def test_what_is_wrong_with_every_photo_is_said_by_both(place: Place, case: str) -> None:
    spoil, word = ALL_PHOTOS[case]
    place = spoil(place)
    call, run = place.by_call(), place.by_run()
    assert isinstance(call, str) and isinstance(run, str) and word in call and word in run


def test_the_commands_undo_the_same_faults(place: Place) -> None:
    """One person in one photo: keypoints of the photo at half its size, the estimate in mm."""
    with np.load(place.result) as stored:
        place.change(**{name: stored[name][:1] for name in stored.files if name != "image_index"}, image_index=None)
    with np.load(place.result) as stored:
        place.change(transl=stored["transl"] * 1000)
    write_people(place.root, 0, points_of(place, 0) / 2)
    for path in (place.photos[1], place.keypoints[1]):
        (path or Path()).unlink()
    faults = ["--correct", "estimate.units=mm", "--correct", "keypoints.size=50%"]
    out = [str(place.root / name) for name in ("call", "run")]
    call = [
        "fit",
        str(place.photos[0]),
        "--init",
        str(place.result),
        "--keypoints",
        str(place.keypoints[0]),
        "--out",
        out[0],
    ]
    run = ["run", str(place.result), "--images", str(place.photos[0]), "--keypoints", str(place.root / "keypoints"),
           "--out", out[1], "--jobs", "1", "--save-npz"]  # fmt: skip
    for command in (call, run):
        done = CliRunner().invoke(app, [*command, *faults])
        assert done.exit_code == 0, done.output
    one, other = refine.load(f"{out[0]}/photo_0_refine.npz"), refine.load(f"{out[1]}/two_refine.npz")
    assert one.notes == other.notes and any("taken for mm" in note for note in one.notes)
    assert torch.allclose(one.bodies.pose, other.bodies.pose, atol=1e-2)
    assert torch.allclose(one.misfit_before, other.misfit_before, atol=1e-2)
    assert torch.allclose(one.sigma_mm, other.sigma_mm, rtol=1e-2, atol=1.0)
