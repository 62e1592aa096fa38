"""Intrinsics in every form callers hold them, in memory and as JSON: the same camera, by each form's convention."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.geometry.camera import Camera
from refine.geometry.intrinsics import intrinsics_of, read_intrinsics
from refine.geometry.stated_distortion import KEYS
from refine.inputs.cameras import asked_camera
from refine.inputs.estimates import camera_of
from refine.photo import Photo

SIZE = (480, 640)
SIZES = torch.tensor([SIZE], dtype=torch.float32)
FX, FY, CX, CY = 500.0, 510.0, 300.25, 250.75
K = [[FX, 0.0, CX], [0.0, FY, CY], [0.0, 0.0, 1.0]]
FLAT = [number for row in K for number in row]

FROM_CENTRES: dict[str, Any] = {
    "matrix": K,
    "nine numbers": FLAT,
    "four numbers": [FX, FY, CX, CY],
    "K": {"K": K},
    "flat K": {"K": FLAT},
    "camera_matrix": {"camera_matrix": K},
    "OpenCV's storage": {"camera_matrix": {"rows": 3, "cols": 3, "data": FLAT}, "dist_coeffs": [[0, 0, 0, 0, 0]]},
    "named": {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": 640, "height": 480},
    "Open3D": {"width": 640, "height": 480, "intrinsic_matrix": np.array(K).T.flatten().tolist()},
}
"""Forms counted from pixel centres, of one camera."""

FROM_CORNER: dict[str, Any] = {
    "ours": {"focal": [FX, FY], "center": [CX, CY]},
    "nerfstudio": {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": 640, "h": 480, "camera_model": "OPENCV"},
}
"""Forms counted from the image's corner, of another."""


@pytest.mark.parametrize("form", [*FROM_CENTRES, *FROM_CORNER])
def test_every_form_is_read_in_memory_and_from_a_file_by_its_own_convention(form: str, tmp_path: Path) -> None:
    data, half = (FROM_CENTRES[form], 0.5) if form in FROM_CENTRES else (FROM_CORNER[form], 0.0)
    path = tmp_path / "K.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    from_file, lens = read_intrinsics(path, SIZE)
    in_memory = asked_camera(data, SIZES)
    assert lens is None and in_memory.camera.distortion is None and in_memory.calibrated
    for camera in (from_file, in_memory.camera):
        assert camera.focal.tolist() == [[FX, FY]] and camera.center.tolist() == [[CX + half, CY + half]]
    assert ("half a pixel was added" in in_memory.note) == bool(half)


@pytest.mark.parametrize(
    "make", [np.array, np.float32, torch.tensor, tuple, lambda K: np.array([K]), lambda K: torch.tensor([K] * 3)]
)
def test_a_matrix_is_taken_as_opencvs_whatever_holds_it(make: Any) -> None:
    asked = asked_camera(make(K), SIZES)
    theirs = Camera.from_opencv(np.array(K), size=SIZE)
    assert torch.equal(asked.camera.focal, theirs.focal) and torch.equal(asked.camera.center, theirs.center)


@pytest.mark.parametrize("focal", [800, 800.0, np.float32(800), np.array(800.0), torch.tensor(800.0), "800", "800.0"])
def test_a_number_is_a_focal_length_in_px_of_photos_of_any_size(focal: Any) -> None:
    sizes = torch.tensor([[480.0, 640.0], [1000.0, 700.0]])
    asked = asked_camera(focal, sizes)
    assert asked.camera.focal.tolist() == [[800.0, 800.0]] * 2 and not asked.calibrated
    assert asked.camera.center.tolist() == [[320.0, 240.0], [350.0, 500.0]]


def test_a_command_line_may_hold_four_numbers() -> None:
    asked = asked_camera("500,510,300.25,250.75", SIZES)
    assert asked.camera.center.tolist() == [[CX + 0.5, CY + 0.5]]


def test_several_matrices_are_one_a_photo() -> None:
    other = [[900.0, 0.0, 300.0], [0.0, 900.0, 200.0], [0.0, 0.0, 1.0]]
    asked = asked_camera(np.array([K, other]), SIZES.repeat(2, 1))
    assert asked.camera.focal[:, 0].tolist() == [500.0, 900.0]
    with pytest.raises(InputError, match="from_opencv"):
        asked_camera(np.array([K, other]), SIZES)


def test_distortion_of_nerfstudio_is_opencvs_and_its_fisheyes_are_refused() -> None:
    lens, _ = intrinsics_of({**FROM_CORNER["nerfstudio"], "k1": -0.2, "k2": 0.05, "p1": 0.001, "p2": -0.002}, SIZE)
    assert lens.distortion.tolist() == [-0.2, 0.05, 0.001, -0.002, 0.0]
    with pytest.raises(InputError, match="Undistort"):
        intrinsics_of({**FROM_CORNER["nerfstudio"], "camera_model": "OPENCV_FISHEYE"}, SIZE)


@pytest.mark.parametrize("key", KEYS)
def test_distortion_is_read_under_the_names_that_tools_give_it(key: str) -> None:
    bent = [-0.2, 0.05, 0.001, -0.002, 0.01]
    for value in (bent, [bent], np.array(bent)[:, None], {"rows": 1, "cols": 5, "data": bent}):
        lens, _ = intrinsics_of({"K": K, key: value, "distortion_model": "plumb_bob"}, SIZE)
        assert lens.distortion.tolist() == bent
    for none in (None, "none", [], [0.0] * 5):
        lens, _ = intrinsics_of({"K": K, key: none}, SIZE)
        assert not lens.distortion.any()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"distorsion": [0.1, 0, 0, 0]}, '"distorsion".*Call it "distortion"'),
        ({"Distortion": [0.1, 0, 0, 0]}, 'Call it "distortion"'),
        ({"D": [0.1, 0, 0, 0], "distortion_model": "equidistant"}, "Undistort the photos"),
        ({"model": "fisheye"}, "Undistort the photos"),
        ({"D": [0.1, 0, 0, 0], "dist": [0.2, 0, 0, 0]}, "Leave one"),
        ({"distortion": "barrel"}, "coefficients.*got 'barrel'"),
        *(
            ({key: value, "distortion": [0.1, 0, 0, 0]}, "Undistort the photos")
            for key, value in (
                ("fisheye", True),
                ("is_fisheye", 1),
                ("type", "fisheye"),
                ("projection", "Fisheye"),
                ("xi", 1.0),
            )
        ),
        *(({key: [0.1, 0, 0, 0]}, 'Call it "distortion"') for key in ("d", "k", "coeffs", "lens", "radial_distortion")),
        ({"distortion": [0.1, 0, 0, 0], "k1": 0.3}, "Leave one"),
        ({"distortion": [0.1, 0.2, 0.3]}, "coefficients"),
    ],
)
def test_a_distortion_is_never_passed_over_in_silence(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        intrinsics_of({"K": K, **more}, SIZE)


@pytest.mark.parametrize(
    ("camera", "says"),
    [
        (np.array(K).T, "transposed"),
        ([1.2, 1.6, 0.5, 0.5], "shares of it"),
        ({"K": [[1.2, 0, 0.5], [0, 1.6, 0.5], [0, 0, 1]]}, "Multiply fx and cx by its width"),
        ([500, 320, 240], "of shape"),
        (np.eye(4), "of shape"),
        (-800.0, "above zero"),
        (True, "bool"),
        ([float("nan")] * 4, "not finite"),
        ({"fx": 1, "fy": 2}, "the keys"),
        ({"K": K, "w": 480, "h": 640}, "turned by a quarter"),
        ({"K": K, "fx": 1, "fy": 1, "cx": 1, "cy": 1}, "one of the keys"),
        ("fov61", "focal rule"),
        (object(), "object"),
    ],
)
def test_what_is_no_camera_is_refused_with_what_would_be_one(camera: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        asked_camera(camera, SIZES)


def test_one_cameras_intrinsics_are_refused_for_photos_of_several_sizes() -> None:
    photos = tuple(Photo(np.zeros((*size, 3), np.uint8)) for size in (SIZE, (100, 100)))
    with pytest.raises(InputError, match="photos of one size"):
        camera_of(K, photos)
    assert len(camera_of(700.0, photos).camera or ()) == 2
