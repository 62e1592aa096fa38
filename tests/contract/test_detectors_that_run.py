"""Detectors that are run on the photo: every file of `refine/detectors`, and the way from `keypoints="auto"` to
matched keypoints.

A stand-in detector says where the true people are, with noise; a detector whose package is not installed is skipped
with a reason.
"""

import importlib.util
import logging
import re
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import refine
from refine import DetectedPeople, Detections
from refine.body import SkinnedBody
from refine.body.keypoint_names import SETS
from refine.commands.cli import app
from refine.detectors import Detector, DetectorModule, find
from refine.detectors.find import available, detector, detectors
from refine.discover import modules
from refine.errors import InputError, MissingExtra
from refine.estimate import Estimate
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from refine.folder.store import Store
from refine.inputs.detecting import SAME, person_boxes
from refine.inputs.estimates import Given
from refine.inputs.keypoints import MatchedKeypoints, matched_keypoints
from refine.photo import read_photos
from refine.terms.keypoints import DetectorNoise
from tests.folders import make_folder
from tests.people import HEIGHT, WIDTH, Case, case

NOISE_PX = 2.0


@dataclass(frozen=True)
class StandIn:
    """A detector that knows where the people of a photo are: of each box the person whose points lie in its middle."""

    people: Tensor
    """(P, K, 2) px."""
    name: str = "stand-in"
    noise: DetectorNoise | None = None
    set: str = "body25"

    def __call__(self, image: np.ndarray, boxes: Tensor) -> Detections:
        assert image.dtype == np.uint8 and image.ndim == 3
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        nearest = torch.cdist(middle, self.people.mean(1)).argmin(1)
        pixel = self.people[nearest]
        draw = torch.Generator().manual_seed(0)
        pixel = pixel + NOISE_PX * torch.randn(pixel.shape, generator=draw)
        return Detections(self.set, pixel, torch.full(pixel.shape[:2], 0.9))


@pytest.fixture
def alone(builtin_body: SkinnedBody) -> Case:
    """One person in one photo."""
    return case(builtin_body, 1)


def in_one_photo(found: Case, shift_m: float = 1.0) -> tuple[Estimate, Estimate, Given]:
    """The true people and their estimates side by side in one photo, `shift_m` apart."""
    count = len(found.true)
    step = torch.zeros(count, 3)
    step[:, 0] = shift_m * (torch.arange(count) - (count - 1) / 2)

    def moved(estimate: Estimate) -> Estimate:
        state = estimate.state
        bodies = replace(state.bodies, translation=state.bodies.translation + step)
        return replace(estimate, state=replace(state, bodies=bodies), image_index=torch.zeros(count, dtype=torch.long))

    return moved(found.true), moved(found.estimate), Given(read_photos(found.photos[0]))


def matched(estimate: Estimate, given: Given, keypoints: object) -> MatchedKeypoints:
    return matched_keypoints(keypoints, estimate, given)


# Every file of the folder


@pytest.mark.parametrize("name", detectors())
def test_a_file_offers_the_protocol_and_says_its_source_its_pixels_and_what_installs_it(name: str) -> None:
    module = detectors()[name]
    assert isinstance(module, DetectorModule)
    assert "Source:" in (module.__doc__ or "") and "Pixels:" in (module.__doc__ or "")
    assert "pip install" in module.INSTALL
    assert isinstance(module.is_ready(), bool)


@pytest.mark.parametrize("name", detectors())
def test_what_is_not_ready_says_what_to_do_and_what_is_finds_nobody_in_a_grey_wall(name: str) -> None:
    module = detectors()[name]
    if not module.is_ready():
        with pytest.raises((MissingExtra, InputError), match=re.escape(module.INSTALL)):
            module.load(None)
        return
    found = module.load(None)
    assert isinstance(found, Detector)
    seen = found(np.full((HEIGHT, WIDTH, 3), 120, np.uint8), torch.tensor([[50.0, 20.0, 350.0, 460.0]]))
    assert seen.pixel.shape[1] == len(SETS[seen.name])
    assert not (seen.confidence >= 0.3).any()


@pytest.mark.parametrize("name", detectors())
def test_a_model_that_is_not_there_or_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    module = detectors()[name]
    other = tmp_path / "no model.txt"
    other.write_text("nothing")
    for model in (tmp_path / "absent.onnx", other):
        with pytest.raises((InputError, MissingExtra)):
            module.load(model)


def test_auto_takes_the_first_that_is_ready_in_the_stated_order_and_says_which(
    monkeypatch: pytest.MonkeyPatch, alone: Case, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in = StandIn(alone.true.keypoints_2d("body25"))
    named = {
        name: _module(replace(stand_in, name=name), ready=name != "first") for name in ("second", "first", "other")
    }
    monkeypatch.setattr(find, "detectors", lambda: named)
    monkeypatch.setattr(find, "ORDER", ("first", "other", "second"))
    find._loaded.cache_clear()
    assert available() == ("other", "second")
    with caplog.at_level(logging.INFO, "refine"):
        result = refine.fit(alone.photos[0], alone.estimate, keypoints="auto")
    assert any("other looked at the photo" in note for note in result.notes)
    assert "other looked at the photo" in caplog.text
    find._loaded.cache_clear()


def test_auto_without_any_names_the_commands_that_install_one(monkeypatch: pytest.MonkeyPatch, alone: Case) -> None:
    for module in detectors().values():
        monkeypatch.setattr(module, "is_ready", lambda: False)
    with pytest.raises(MissingExtra, match=r"pip install .*refine\[detectors\]"):
        refine.fit(alone.photos[0], alone.estimate, keypoints="auto")


def test_another_packages_detector_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch, alone: Case) -> None:
    module = _module(StandIn(alone.true.keypoints_2d("body25"), name="theirs 1.0"), ready=True)

    class Point(metadata.EntryPoint):
        def load(self) -> ModuleType:
            return module

    def offered(group: str) -> list[metadata.EntryPoint]:
        return [Point("theirs", "theirs", group)] if group == find.ENTRY_POINTS else []

    monkeypatch.setattr(metadata, "entry_points", offered)
    modules.cache_clear()
    find._loaded.cache_clear()
    assert "theirs" in detectors() and "theirs" in available()
    result = refine.fit(alone.photos[0], alone.estimate, keypoints="theirs")
    assert any("theirs 1.0" in note for note in result.notes)
    modules.cache_clear()
    find._loaded.cache_clear()


def _module(found: StandIn, *, ready: bool) -> ModuleType:
    module = ModuleType(found.name)
    module.INSTALL = f"pip install {found.name}"  # type: ignore[attr-defined]
    module.is_ready = lambda: ready  # type: ignore[attr-defined]
    module.load = lambda model: found  # type: ignore[attr-defined]
    return module


# From a detector to keypoints


def test_a_detector_moves_an_estimate_onto_the_person_as_its_keypoints_would(alone: Case) -> None:
    stand_in = StandIn(alone.true.keypoints_2d("body25"))
    result = refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in)
    assert bool(result.accepted.all())
    assert float(result.misfit[0]) < 3 * NOISE_PX < float(result.misfit_before[0])
    boxes = person_boxes(alone.estimate, (HEIGHT, WIDTH))
    by_hand = refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in(alone.photos[0], boxes))
    assert torch.allclose(result.joints, by_hand.joints, atol=1e-5)


def test_boxes_hold_the_projected_body_and_end_at_the_photo(alone: Case) -> None:
    low, high = person_boxes(alone.estimate, (HEIGHT, WIDTH))[0].split(2)
    seen = alone.estimate.camera.project(alone.estimate.posed.vertices)[0]
    assert torch.allclose(low, seen.amin(0), atol=1e-3) and torch.allclose(high, seen.amax(0), atol=1e-3)
    cut = person_boxes(alone.estimate, (HEIGHT // 2, WIDTH))[0]
    assert float(cut[3]) == HEIGHT // 2
    nowhere = replace(alone.estimate.state.bodies, translation=torch.tensor([[50.0, 0.0, 4.0]]))
    away = replace(alone.estimate, state=replace(alone.estimate.state, bodies=nowhere))
    assert bool((person_boxes(away, (HEIGHT, WIDTH))[:, 0] >= WIDTH).all())


def test_who_is_outside_the_photo_is_not_looked_for_and_stays(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2), shift_m=40.0)
    found = matched(estimate, given, StandIn(true.keypoints_2d("body25")))
    assert found.detections is not None and not found.detections.confidence.any()


def test_detections_of_neighbours_are_assigned_together(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2))
    points = true.keypoints_2d("body25")

    def crossed(image: np.ndarray, boxes: Tensor) -> Detections:
        return Detections("body25", points.flip(0), torch.ones(points.shape[:2]))

    found = matched(estimate, given, crossed)
    assert found.detections is not None
    assert torch.allclose(found.detections.pixel, points, atol=1e-4)


def test_a_person_found_in_two_boxes_goes_to_the_nearer_estimate_and_the_other_gets_nothing(
    builtin_body: SkinnedBody,
) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2))
    points = true.keypoints_2d("body25")

    def twice(image: np.ndarray, boxes: Tensor) -> Detections:
        pixel = torch.stack((points[1], points[1] + 1.0))
        return Detections("body25", pixel, torch.tensor([[0.9], [0.8]]).expand(-1, 25))

    found = matched(estimate, given, twice)
    assert found.detections is not None
    assert not found.detections.confidence[0].any() and bool((found.detections.confidence[1] == 0.9).all())
    assert any("one person in the boxes of persons 1 and 2" in note for note in found.notes)
    assert any(note.startswith("Person 1:") and "no keypoints" in note for note in found.notes)


def test_two_people_an_arm_apart_are_two(builtin_body: SkinnedBody) -> None:
    true, estimate, given = in_one_photo(case(builtin_body, 2), shift_m=0.35)
    points = true.keypoints_2d("body25")
    size = float((points[0].amax(0) - points[0].amin(0)).prod().sqrt())
    assert float((points[0] - points[1]).norm(dim=-1).mean()) > SAME * size
    found = matched(estimate, given, lambda image, boxes: Detections("body25", points, torch.ones(2, 25)))
    assert found.detections is not None and bool((found.detections.confidence == 1).all())


def test_more_people_found_than_estimated_are_left_out_and_counted(alone: Case) -> None:
    points = alone.true.keypoints_2d("body25")
    crowd = torch.cat((points + 150.0, points, points - 150.0))
    given = Given(read_photos(alone.photos[0]))

    def everybody(image: np.ndarray, boxes: Tensor) -> DetectedPeople:
        return DetectedPeople("body25", crowd, torch.ones(3, 25))

    found = matched(alone.estimate, given, everybody)
    assert found.detections is not None and torch.allclose(found.detections.pixel, points, atol=1e-4)
    assert any("2 detected people match no body" in note for note in found.notes)


@pytest.mark.parametrize("people", [False, True])
def test_nobody_found_leaves_the_person_as_it_came_and_says_so(alone: Case, people: bool) -> None:
    def blind(image: np.ndarray, boxes: Tensor) -> Detections | DetectedPeople:
        if people:
            return DetectedPeople("body25", torch.zeros(0, 25, 2), torch.zeros(0, 25))
        return Detections("body25", torch.full((1, 25, 2), torch.nan), torch.zeros(1, 25))

    result = refine.fit(alone.photos[0], alone.estimate, keypoints=blind)
    assert not bool(result.accepted.any())
    assert any("nobody was detected in blind" in note for note in result.notes)
    assert torch.equal(result.refined.bodies.pose, alone.estimate.bodies.pose)


def test_a_detectors_measured_noise_is_what_the_evidence_is_divided_by(alone: Case) -> None:
    points = alone.true.keypoints_2d("body25")
    given = Given(read_photos(alone.photos[0]))
    loose = DetectorNoise(oks_share=1.0)
    assert matched(alone.estimate, given, StandIn(points)).noise is None
    assert matched(alone.estimate, given, StandIn(points, noise=loose)).noise == loose
    costs = [
        float(refine.fit(alone.photos[0], alone.estimate, keypoints=StandIn(points, noise=noise)).cost_before[0])
        for noise in (None, loose)
    ]
    assert costs[1] < 0.5 * costs[0]


def test_several_photos_are_each_looked_at(builtin_body: SkinnedBody) -> None:
    found = case(builtin_body, 2)
    result = refine.fit(found.photos, found.estimate, keypoints=StandIn(found.true.keypoints_2d("body25")))
    assert bool(result.accepted.all()) and float(result.misfit.max()) < 3 * NOISE_PX


# Mistakes


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "refine.Detections with 1 row"),
        (torch.zeros(1, 25, 3), "refine.Detections with 1 row"),
        (Detections("body25", torch.zeros(2, 25, 2), torch.ones(2, 25)), r"pixel: expected .*B=1"),
        (Detections("body25", torch.zeros(1, 17, 2), torch.ones(1, 17)), r"confidence: expected .*K=25"),
        (Detections("body25", torch.zeros(1, 25, 2), torch.full((1, 25), 7.0)), "from 0 to 1"),
        (Detections("body25", torch.zeros(1, 25, 2), torch.full((1, 25), torch.nan)), "finite"),
        (Detections("body25", torch.full((1, 25, 2), torch.nan), torch.ones(1, 25)), "finite"),
        (Detections("body25", torch.full((1, 25, 2), 1e5), torch.ones(1, 25)), "points in an image of"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(alone: Case, returned: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refine.fit(alone.photos[0], alone.estimate, keypoints=lambda image, boxes: returned)


def test_a_name_that_is_nearly_a_detectors_is_not_taken_for_a_file(alone: Case) -> None:
    for name in ("mediapip", "Auto", "medipipe"):
        with pytest.raises(InputError, match=r"auto, a detector \(.*mediapipe.*\) or a file"):
            refine.fit(alone.photos[0], alone.estimate, keypoints=name)
    with pytest.raises(InputError, match=r"auto or one of .*mediapipe"):
        detector("yolo")


def test_a_detector_without_a_photo_is_refused(alone: Case) -> None:
    with pytest.raises(InputError, match="a photo to look at"):
        matched(alone.estimate, Given(), StandIn(alone.true.keypoints_2d("body25")))


def test_a_noise_that_is_none_is_refused(alone: Case) -> None:
    stand_in = StandIn(alone.true.keypoints_2d("body25"), noise=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="DetectorNoise"):
        refine.fit(alone.photos[0], alone.estimate, keypoints=stand_in)


# Folders and the command line


@pytest.fixture
def standing_in(builtin_body: SkinnedBody, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a detector that knows the people of `make_folder(count=3)`, each photo having one of them."""
    true = case(builtin_body, 3, 0, angle=0.15).true.keypoints_2d("body25")
    known = detectors() | {"standing_in": _module(StandIn(true, name="standing_in 1.0"), ready=True)}
    monkeypatch.setattr(find, "detectors", lambda: known)
    find._loaded.cache_clear()
    return "standing_in"


def test_a_run_and_a_call_find_the_same(builtin_body: SkinnedBody, tmp_path: Path, standing_in: str) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    settings = Settings(folder.results, folder.images, detector=standing_in, save_npz=True)
    summary = run_folder(settings, tmp_path / "out", jobs=1)
    assert summary.exit_status == 0
    assert all("standing_in 1.0 looked at the photo" in " ".join(one.notes) for one in summary.outcomes)
    photo, result = folder.images / "person_00000.jpg", folder.results / "person_00000.npz"
    called = refine.fit(photo, result, keypoints=standing_in)
    stored = refine.load(tmp_path / "out" / "person_00000_refine.npz")
    assert torch.allclose(called.joints, stored.joints, atol=1e-3)  # another batch, another rounding
    with Store(tmp_path / "out") as store:
        assert "standing_in 1.0" in store.manifest.read_text()  # another version is another run


def test_the_commands_take_a_detector_in_place_of_keypoints(
    builtin_body: SkinnedBody, tmp_path: Path, standing_in: str
) -> None:
    folder = make_folder(builtin_body, tmp_path, 3)
    photo, result = folder.images / "person_00000.jpg", folder.results / "person_00000.npz"
    fit = ["fit", str(photo), "--init", str(result), "--out", str(tmp_path / "one")]
    run = ["run", str(folder.results), "--images", str(folder.images), "--out", str(tmp_path / "many"), "--jobs", "1"]
    for call in (fit, run):
        assert CliRunner().invoke(app, [*call, "--detector", standing_in]).exit_code == 0
        for wrong in (["--detector", "nobodys"], ["--detector", standing_in, "--keypoints", str(folder.keypoints)]):
            failed = CliRunner().invoke(app, [*call, *wrong])
            assert failed.exit_code == 2 and "detector: expected" in failed.output


# MediaPipe itself


def needed(name: str) -> Detector:
    if not detectors()[name].is_ready():
        pytest.skip(f"the detector {name} is not installed: {detectors()[name].INSTALL}")
    return detector(name)


def test_looks_that_agree_are_sure_and_one_that_errs_does_not_move_the_point() -> None:
    from refine.detectors.mediapipe import point_of

    draw = np.random.default_rng(0)
    looks = np.concatenate((100 + 0.2 * draw.normal(size=(6, 2, 2)), np.full((6, 2, 1), 0.9)), 2)
    looks[5, 0, :2] += 300
    looks[:, 1, :2] += np.arange(6)[:, None] * 20
    point = point_of(looks, 6, 100.0)
    assert np.allclose(point[0, :2], 100, atol=1) and point[0, 2] > 0.85
    assert point[1, 2] < 0.1
    assert np.allclose(point_of(looks[:3], 6, 100.0)[:, 2].max(), 0.45, atol=0.05)  # half of the looks found somebody


def test_crops_grow_about_the_middle_and_end_at_the_photo() -> None:
    from refine.detectors.mediapipe import CROP_PX, crop_of

    image = np.zeros((2000, 3000, 3), np.uint8)
    crop, corner, sides = crop_of(image, np.array([1000.0, 500.0, 1200.0, 900.0]), 1.25)
    assert corner.tolist() == [975, 450] and sides.tolist() == [250, 500] and crop.shape == (500, 250, 3)
    crop, corner, sides = crop_of(image, np.array([0.0, 0.0, 3000.0, 2000.0]), 1.25)
    assert corner.tolist() == [0, 0] and sides.tolist() == [3000, 2000] and max(crop.shape) == CROP_PX
    crop, _, sides = crop_of(image, np.array([2999.9, 5.0, 3000.0, 5.1]), 1.0)
    assert crop.size and (sides >= 1).all()


@pytest.mark.slow
def test_mediapipe_finds_real_people_in_pixels_that_count_from_the_corner(real_data: "object") -> None:
    import cv2

    found = needed("mediapipe")
    image = cv2.imread(str(real_data("bev_pair") / "image_1.jpg"))[..., ::-1]  # type: ignore[operator]
    width = image.shape[1]
    boxes = torch.tensor([[420.0, 211.0, 1179.0, 971.0]])
    plain = found(image, boxes)
    size = float((boxes[0, 2:] - boxes[0, :2]).prod().sqrt())
    turned = torch.tensor([width - 1179.0, 211.0, width - 420.0, 971.0])[None]
    mirrored = found(np.ascontiguousarray(image[:, ::-1]), turned)
    nose = SETS["body25"].index("nose")
    assert float(plain.confidence[0, nose]) > 0.5
    off = mirrored.pixel[0, nose, 0] - (width - plain.pixel[0, nose, 0])
    assert abs(float(off)) < 0.01 * size
    assert np.hypot(*(plain.pixel[0, nose] - torch.tensor([830.0, 310.0])).tolist()) < 0.05 * size


def test_mediapipes_wheel_is_looked_at_before_it_is_imported() -> None:
    module = detectors()["mediapipe"]
    assert module.is_ready() == (importlib.util.find_spec("mediapipe") is not None and module._model() is not None)
