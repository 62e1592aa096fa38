"""Every file of `refine/detectors`, and what "auto" takes; a detector whose package is not installed is skipped with a
reason."""

import importlib.util
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import refine
from refine.body import SkinnedBody
from refine.body.keypoint_names import SETS
from refine.detectors import Detector, DetectorModule, find
from refine.detectors.find import available, detector, detectors
from refine.discover import modules
from refine.errors import InputError, MissingExtra
from tests.people import HEIGHT, WIDTH, Case, case
from tests.stand_in_detector import StandIn, module_of


@pytest.fixture
def alone(builtin_body: SkinnedBody) -> Case:
    """One person in one photo."""
    return case(builtin_body, 1)


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
        name: module_of(replace(stand_in, name=name), ready=name != "first") for name in ("second", "first", "other")
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
    module = module_of(StandIn(alone.true.keypoints_2d("body25"), name="theirs 1.0"), ready=True)

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
def test_mediapipe_finds_real_people_in_pixels_that_count_from_the_corner(real_data: Callable[[str], Path]) -> None:
    import cv2

    found = needed("mediapipe")
    image = cv2.imread(str(real_data("bev_pair") / "image_1.jpg"))[..., ::-1]
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
