"""PHALP's joblib file of frames: ghosts, derived numbers and pixels."""

from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.formats.find import read
from tests import joblib_layout
from tests.layouts import phalp
from tests.refinements import rewritten


@pytest.mark.parametrize("compress", [0, 3])
def test_the_joblib_layout_of_these_tests_is_joblibs(compress: int, tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    content = phalp.frames(2) | {"fortran": np.asfortranarray(np.eye(3)), "objects": np.array([None, {}])}
    joblib_layout.dump(content, tmp_path / "ours", compress)
    joblib.dump(content, tmp_path / "theirs", compress, protocol=4)
    if not compress:
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(joblib.load(tmp_path / "ours")) == list(content)


def test_phalps_ghosts_are_no_bodies_and_stay_in_the_file(tmp_path: Path) -> None:
    path = phalp.write(tmp_path / "x.pkl")
    estimate = read(path)
    assert len(estimate) == 2 * phalp.FRAMES + 1
    assert estimate.source.persons == ("1", "2", "1", "2", "2")
    assert estimate.image_index.tolist() == [0, 0, 1, 1, 2]
    assert estimate.source.images[3] == "frames/000009.jpg"
    assert any("1 entries" in note and "tracked_time" in note for note in estimate.notes)
    before, after = rewritten(path, tmp_path / "out.pkl")
    last = "frames/000002.jpg"
    for name in ("camera", "3d_joints", "2d_joints"):
        assert np.array_equal(after[last][name][0], before[last][name][0]), name
        assert not np.array_equal(after[last][name][1], before[last][name][1]), name
    assert np.array_equal(after[last]["smpl"][0]["body_pose"], before[last]["smpl"][0]["body_pose"])


def test_phalps_derived_numbers_follow_its_formulas(tmp_path: Path) -> None:
    path = phalp.write(tmp_path / "x.pkl")
    before, after = rewritten(path, tmp_path / "out.pkl")
    lists, was = after["frames/000001.jpg"], before["frames/000001.jpg"]
    long = max(phalp.WIDTH, phalp.HEIGHT)
    for row in range(2):
        place, weak = lists["camera"][row].astype(float), lists["camera_bbox"][row].astype(float)
        seen = lists["3d_joints"][row] + place
        flat = 5000 / 256 * seen[:, :2] / seen[:, 2:] + 0.5
        assert np.allclose(lists["2d_joints"][row].reshape(45, 2), flat, atol=1e-6)
        assert not lists["3d_joints"][row][44].any()
        shrink = 256 / long
        assert place[2] == pytest.approx(2 * 5000 / (weak[0] * was["scale"][row] * long * shrink), rel=1e-5)
        center = (was["center"][row] + ((long - phalp.WIDTH) // 2, (long - phalp.HEIGHT) // 2)) * shrink
        assert np.allclose(weak[1:] + (center - 128) * place[2] / 5000, place[:2], atol=1e-5)
        tracker = np.concatenate((flat.reshape(-1), place, place, place))
        assert np.allclose(lists["loca"][row], tracker, atol=1e-4)
        parts = [lists["smpl"][row][name].reshape(-1) for name in ("global_orient", "body_pose", "betas")]
        assert np.allclose(lists["pose"][row], np.concatenate((*parts, place[:2], place[2:] / 200)), atol=1e-5)


def test_phalps_tracker_vectors_that_repeat_something_else_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    content = phalp.frames(1)
    content["frames/000000.jpg"]["loca"][0] = np.full(99, 0.5, np.float32)
    joblib_layout.dump(content, path)
    _, after = rewritten(path, tmp_path / "out.pkl")
    assert np.array_equal(after["frames/000000.jpg"]["loca"][0], np.full(99, 0.5, np.float32))
    assert not np.array_equal(after["frames/000001.jpg"]["loca"][0], content["frames/000001.jpg"]["loca"][0])


def test_phalps_pixels_must_follow_from_its_joints(tmp_path: Path) -> None:
    content = phalp.frames(1)
    content["frames/000000.jpg"]["camera"][0] = content["frames/000000.jpg"]["camera"][0] * np.float32(1.1)
    joblib_layout.dump(content, tmp_path / "x.pkl")
    with pytest.raises(InputError, match="px apart"):
        read(tmp_path / "x.pkl", format="phalp")
