"""Cameras as callers give them: what is wrong is named, and the message says what to do."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.geometry import focal, intrinsics, opengl
from refine.geometry.camera import Camera
from refine.geometry.crop import Crop
from refine.geometry.lens import Lens
from refine.geometry.weak_perspective import WeakPerspective, from_perspective

K = [[500.0, 0.0, 319.5], [0.0, 510.0, 239.5], [0.0, 0.0, 1.0]]
SIZE = (480, 640)


@pytest.fixture
def as_called_by_users() -> Iterator[None]:
    """Switches the tests' checks of signatures off: a user's wrong shape meets the library's own message."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def camera(focal_px: float = 500.0, center: float = 320.0, height: float = 480.0) -> Camera:
    """One camera of a photo of 640 x 480."""
    return Camera(torch.full((1, 2), focal_px), torch.tensor([[center, 240.0]]), torch.tensor([[height, 640.0]]))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (camera(focal_px=-500.0), "camera.focal"),
        (camera(focal_px=0.0), "camera.focal"),
        (camera(focal_px=math.nan), "camera.focal"),
        (camera(center=math.inf), "camera.center"),
        (camera(height=0.0), "camera.size"),
        (camera(height=math.inf), "camera.size"),
    ],
)
def test_values_no_camera_has_are_refused_by_name(wrong: Camera, name: str) -> None:
    with pytest.raises(InputError) as error:
        wrong.checked()
    assert error.value.name == name


def test_a_pose_of_the_camera_that_is_not_finite_is_refused() -> None:
    good = camera()
    lost = Camera(good.focal, good.center, good.size, torch.full((1, 3, 4), math.nan))
    with pytest.raises(InputError, match="camera_from_world"):
        lost.checked()
    assert good.checked() is good


@pytest.mark.usefixtures("as_called_by_users")
@pytest.mark.parametrize(
    ("center", "size"),
    [(torch.zeros(2, 2), torch.ones(1, 2)), (torch.zeros(1, 3), torch.ones(1, 2)), (torch.zeros(2), torch.ones(1, 2))],
)
def test_parts_that_disagree_are_refused(center: torch.Tensor, size: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"camera\.center: expected a tensor of shape"):
        Camera(torch.ones(1, 2), center, size)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        (np.array(K).T, "a transposed one"),
        (np.array([[500.0, 3.0, 320.0], *K[1:]]), "without skew"),
        (np.array(K)[:2], "shape"),
        (np.array(K) * 2, "pinhole"),
        (np.full((3, 3), math.nan), "finite"),
        (np.diag([-500.0, 500.0, 1.0]), r"camera\.focal"),
    ],
)
def test_matrices_of_no_pinhole_camera_are_refused(matrix: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Camera.from_opencv(matrix, size=SIZE)


@pytest.mark.parametrize("distortion", [np.zeros(3), np.zeros((1, 1, 5)), np.array([0.1, math.nan, 0.0, 0.0])])
def test_coefficients_that_are_not_those_of_opencv_are_refused(distortion: np.ndarray) -> None:
    with pytest.raises(InputError, match="distortion"):
        Camera.from_opencv(np.array(K), distortion, size=SIZE)


def test_a_lens_refuses_the_photo_of_another_camera() -> None:
    with pytest.raises(InputError, match=r"photo: expected the lens's size \(480, 640\)"):
        Lens(np.array(K), np.zeros(4), SIZE).undistort(np.zeros((640, 480, 3), np.uint8))


def test_an_unknown_rule_gets_the_list_of_rules_with_their_owners() -> None:
    with pytest.raises(InputError) as error:
        focal.camera_from_rule("phone", SIZE)
    for name in focal.RULES:
        assert f'camera="{name}"' in str(error.value)
    for owner in ("CLIFF", "BEV", "HMR2", "SPIN", "K.json"):
        assert owner in str(error.value)


@pytest.mark.usefixtures("as_called_by_users")
def test_a_rule_that_is_no_name_and_a_size_that_is_no_pair_are_refused() -> None:
    with pytest.raises(InputError, match="float"):
        focal.camera_from_rule(500.0, SIZE)  # type: ignore[arg-type]
    for size in ((480,), (480, 640, 3), torch.ones(2), 480):
        with pytest.raises(InputError, match=r"size: expected \(height, width\)"):
            focal.camera_from_rule("diagonal", size)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="above zero"):
        focal.camera_from_rule("diagonal", (480, 0))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("diagonal", 800.0),
        ("fov60", 320 * math.sqrt(3)),
        ("fov55", 320 / math.tan(math.radians(27.5))),
        ("hmr2", 12500.0),
        ("spin", 5000.0),
    ],
)
@pytest.mark.parametrize("size", [(480, 640), (640, 480)])
def test_rules_give_the_focal_lengths_their_systems_use(rule: str, expected: float, size: tuple[int, int]) -> None:
    one = focal.camera_from_rule(rule, size)
    assert one.focal.tolist() == [[pytest.approx(expected)] * 2]
    assert one.center.tolist() == [[size[1] / 2, size[0] / 2]]
    assert one.size.tolist() == [list(size)]


def test_a_rule_follows_each_photo_of_a_batch() -> None:
    sizes = torch.tensor([[480.0, 640.0], [6016.0, 4016.0]], dtype=torch.float64)
    two = focal.camera_from_rule("hmr2", sizes)
    assert two.focal[:, 0].tolist() == [12500.0, 5000 / 256 * 6016]
    assert two.focal.dtype == torch.float64


def write(folder: Path, data: object) -> Path:
    """Write a camera file."""
    path = folder / "K.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_opencv_intrinsics_gain_the_half_pixel_and_ours_do_not(tmp_path: Path) -> None:
    theirs, none = intrinsics.read_intrinsics(write(tmp_path, {"K": K, "size": list(SIZE)}), SIZE)
    assert none is None
    assert theirs.center.tolist() == [[320.0, 240.0]] and theirs.focal.tolist() == [[500.0, 510.0]]
    ours, _ = intrinsics.read_intrinsics(write(tmp_path, {"focal": [500, 510], "center": [320, 240]}), SIZE)
    assert torch.equal(ours.center, theirs.center) and torch.equal(ours.focal, theirs.focal)
    short, _ = intrinsics.read_intrinsics(write(tmp_path, {"focal": 500}), SIZE)
    assert short.center.tolist() == [[320.0, 240.0]] and short.focal.tolist() == [[500.0, 500.0]]


def test_a_lens_comes_with_the_camera_when_it_distorts(tmp_path: Path) -> None:
    _, lens = intrinsics.read_intrinsics(write(tmp_path, {"K": K, "distortion": [-0.2, 0.1, 0, 0, 0]}), SIZE)
    assert lens is not None and lens.distortion.tolist() == [-0.2, 0.1, 0, 0, 0]
    _, none = intrinsics.read_intrinsics(write(tmp_path, {"K": K, "distortion": [0, 0, 0, 0]}), SIZE)
    assert none is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("{", "JSON"),
        ([1, 2], r"list of shape \(2,\)"),
        ({"k": K}, r"the keys \['k'\]"),
        ({"K": K, "focal": 3}, "one of the keys"),
        ({"K": K[:2]}, r"\(2, 3\)"),
        ({"K": [[1, 2], [3]]}, "finite numbers"),
        ({"K": "five"}, "finite numbers"),
        ({"K": np.array(K).T.tolist()}, "a transposed one"),
        ('{"focal": NaN}', "finite numbers"),
        ({"focal": -500}, "above zero"),
        ({"focal": [1, 2, 3]}, r"\(3,\)"),
        ({"focal": 500, "center": [None, 1]}, "finite numbers"),
        ({"K": K, "distortion": [0.1]}, "coefficients"),
        ({"K": K, "distortion": "barrel"}, "distortion"),
        ({"K": K, "size": [640, 480]}, r"The order in the file is"),
        ({"K": K, "size": [1080, 1920]}, "Scale the intrinsics"),
        ({"K": K, "size": "large"}, "size"),
    ],
)
def test_a_camera_file_in_the_wrong_form_is_refused_with_its_path(tmp_path: Path, data: object, says: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(InputError, match=says) as error:
        intrinsics.read_intrinsics(path, SIZE)
    assert str(path) in str(error.value)


def test_a_camera_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(InputError, match="Write"):
            intrinsics.read_intrinsics(path, SIZE)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="JSON"):
        intrinsics.read_intrinsics(tmp_path / "binary.json", SIZE)


def test_a_crop_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match=r"crop\.side"):
        Crop(torch.zeros(1, 2, 3), 0, torch.zeros(1, dtype=torch.long))


def test_a_crop_camera_behind_the_camera_is_refused() -> None:
    weak = WeakPerspective(torch.tensor([[-1.0, -1.0]]), torch.zeros(1, 2))
    with pytest.raises(InputError, match="remove it"):
        weak.to_translation(camera())
    with pytest.raises(InputError, match="behind the camera"):
        from_perspective(torch.tensor([[0.0, 0.0, -2.0]]), camera())


def test_matrices_opengl_would_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="near_m"):
        opengl.opengl_projection(camera(), near_m=5.0, far_m=1.0)
    turned = opengl.opengl_projection(camera()).mT
    with pytest.raises(InputError, match="Transpose it"):
        opengl.camera_of_opengl(turned, camera().size)
