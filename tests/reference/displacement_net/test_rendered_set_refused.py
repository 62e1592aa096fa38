"""Sets in BEDLAM's layout that are refused, and rows that are left out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from displacement_net.training.labels import read_labels
from displacement_net.training.rendered_set import RenderedSet
from refine.body import SkinnedBody
from refine.errors import InputError
from tests.labelled_set import LabelledSet, stored

SIDE = 64


@pytest.mark.parametrize("key", ["imgname", "pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps"])
def test_a_missing_key_is_named(changed: Callable[..., Path], key: str) -> None:
    with pytest.raises(InputError, match=f"no {key}"):
        read_labels(changed(**{key: None}))


@pytest.mark.parametrize(
    ("key", "shape"),
    [("pose_cam", (4, 55)), ("pose_cam", (3, 165)), ("trans_cam", (4, 2)), ("cam_int", (3, 3)), ("gtkps", (4, 17, 2))],
)
def test_a_wrong_shape_is_named(changed: Callable[..., Path], key: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=rf"{key}: expected .*, got"):
        read_labels(changed(**{key: np.zeros(shape)}))


def test_a_value_that_is_not_finite_is_named_with_its_row(files: LabelledSet, changed: Callable[..., Path]) -> None:
    pose = stored(files, "pose_cam")
    pose[2, 7] = np.nan
    with pytest.raises(InputError, match="pose_cam: expected finite numbers, got something else in row 2"):
        read_labels(changed(pose_cam=pose))


def test_keypoints_of_another_order_are_refused(files: LabelledSet, changed: Callable[..., Path]) -> None:
    """BEDLAM2 stores OpenPose's points first."""
    points = stored(files, "gtkps")
    points[:, 0] = points[:, 15]  # a head for a pelvis
    with pytest.raises(InputError, match=r"gtkps: .*row 0 and 3 others"):
        read_labels(changed(gtkps=points))


def test_a_translation_without_the_cameras_is_refused(files: LabelledSet, changed: Callable[..., Path]) -> None:
    world = stored(files, "cam_ext")
    world[1, :3, 3] += (0.8, 0.0, 0.0)
    with pytest.raises(InputError, match=r"gtkps: .*row 1 and 0 others"):
        read_labels(changed(cam_ext=world))


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "seq/../../x.png", "..\\x.png", "C:\\x.png", "\\\\host\\x.png", ""]
)
def test_an_image_name_that_leaves_the_folder_is_refused(
    files: LabelledSet, changed: Callable[..., Path], name: str
) -> None:
    names = stored(files, "imgname").tolist()
    with pytest.raises(InputError, match=r"imgname: .*row 3"):
        read_labels(changed(imgname=[*names[:3], name]))


def test_a_link_that_leads_out_of_the_folder_is_refused(
    files: LabelledSet, changed: Callable[..., Path], builtin_body: SkinnedBody, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "out.png").symlink_to(files.images / "seq_000000/seq_000000_0000.png")
    source = RenderedSet(changed(imgname=["out.png"] * 4), folder, size=SIDE, body=builtin_body)
    with pytest.raises(InputError, match="row 1: imgname"):
        source.photo(1)


def test_a_missing_image_is_named_with_its_row(
    changed: Callable[..., Path], files: LabelledSet, builtin_body: SkinnedBody
) -> None:
    names = stored(files, "imgname").tolist()
    path = changed(imgname=[*names[:2], "seq_000001/none.png", names[3]])
    source = RenderedSet(path, files.images, size=SIDE, body=builtin_body)
    with pytest.raises(InputError, match=r"row 2: imgname .*none\.png"):
        source.batch(0, 4)


def test_an_image_of_another_size_is_refused(
    changed: Callable[..., Path], files: LabelledSet, builtin_body: SkinnedBody
) -> None:
    matrix, points = stored(files, "cam_int"), stored(files, "gtkps")
    matrix[:, :2], points = 3 * matrix[:, :2], 3 * points
    source = RenderedSet(changed(cam_int=matrix, gtkps=points), files.images, size=SIDE, body=builtin_body)
    with pytest.raises(InputError, match="about 960 x 720 px"):
        source.photo(0)


def test_people_behind_the_camera_are_left_out(
    files: LabelledSet, changed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    place = stored(files, "trans_cam")
    place[1, 2] -= 20
    labels = read_labels(changed(trans_cam=place))
    assert labels.row.tolist() == [0, 2, 3]
    assert "1 of 4 people are behind" in caplog.text


def test_pickled_objects_are_not_opened(changed: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="plain arrays"):
        read_labels(changed(imgname=np.array([{"a": 1}] * 4, dtype=object)))


def test_files_that_are_none_are_refused(tmp_path: Path, files: LabelledSet, builtin_body: SkinnedBody) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(files.labels.read_bytes()[:3000])
    for path in (broken, tmp_path / "none.npz", tmp_path):
        with pytest.raises(InputError, match="npz"):
            read_labels(path)
    with pytest.raises(InputError, match="images"):
        RenderedSet(files.labels, tmp_path / "none", body=builtin_body)
