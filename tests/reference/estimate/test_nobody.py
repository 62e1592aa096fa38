"""Results in which nobody was found, in each system's own way to say so: no people, and the file as it came."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import refine
from refine.estimate import Estimate
from refine.formats.find import formats, read, write
from refine.inspection.result_file import inspect
from tests import joblib_layout
from tests.folders import run_over
from tests.layouts import phalp, romp_video
from tests.layouts.parameters import smpl_parameters

ZERO = {
    "global_orient": np.zeros((0, 3)),
    "body_pose": np.zeros((0, 69)),
    "betas": np.zeros((0, 10)),
    "transl": np.zeros((0, 3)),
}


def as_npz(path: Path, content: Any) -> None:
    np.savez(path, **content)


def as_npy(path: Path, content: Any) -> None:
    np.save(path, content, allow_pickle=True)


def as_pickle(path: Path, content: Any) -> None:
    path.write_bytes(pickle.dumps(content))


def as_joblib(path: Path, content: Any) -> None:
    joblib_layout.dump(content, path)


def as_torch(path: Path, content: Any) -> None:
    torch.save(content, path)


def as_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


FILES: dict[str, tuple[str, Callable[[Path, Any], None], Any]] = {
    "parameters": ("a.npz", as_npz, ZERO | {"focal": np.array(800.0), "size": np.array([480, 640])}),
    "parameters, pickled": ("a.pkl", as_pickle, ZERO),
    "EasyMocap": ("a.json", as_json, []),
    "EFT": ("a.json", as_json, {"ver": 1, "data": []}),
    "Multi-HMR": ("a.npy", as_npy, np.asarray([])),
    "Multi-HMR, no vertices of nobody": ("a.npy", as_npy, np.zeros((0, 10475, 3), np.float32)),
    "Multi-HMR's and SAM 3D Body's list": ("a.pt", as_torch, []),
    "SAM 3D Body's list, numpy": ("a.npy", as_npy, np.array([], object)),
    "WHAM, VIBE": ("a.pkl", as_pickle, {}),
    "WHAM, joblib": ("a.pkl", as_joblib, {}),
    "PHALP": ("a.pkl", as_joblib, {f"{n}.jpg": {"tid": [], "smpl": [], "camera": [], "time": n, "frame_path": f"{n}.jpg"} for n in range(3)}),  # noqa: E501
    "PHALP, an empty dictionary a frame": ("a.pkl", as_joblib, {f"{n}.jpg": {} for n in range(3)}),
    "ROMP, BEV": ("a.npz", as_npz, {"results": np.array({}, object)}),
    "ROMP's video": ("a.npz", as_npz, {"results": np.array({"0.png": {}, "1.png": None}, object), "sequence_results": np.array({}, object)}),  # noqa: E501
    "CLIFF": ("a.npz", as_npz, {"imgname": np.array(["a.jpg"]), "pose": np.zeros((0, 72)), "shape": np.zeros((0, 10)), "global_t": np.zeros((0, 3)), "pred_joints": np.zeros((0, 45, 3)), "focal_l": np.zeros(0), "detection_all": np.zeros((0, 8))}),  # noqa: E501
    "PromptHMR": ("a.pt", as_torch, {"pose": torch.zeros(0, 22, 6), "rotmat": torch.zeros(0, 22, 3, 3), "betas": torch.zeros(0, 10), "transl": torch.zeros(0, 3), "cam_int": torch.zeros(1, 3, 3)}),  # noqa: E501
    "PromptHMR's video": ("a.pkl", as_joblib, {"camera": {"img_focal": 800.0}, "people": {}, "timings": {"a": 1.0}}),
    "GVHMR": ("a.pt", as_torch, {"smpl_params_incam": {"global_orient": torch.zeros(0, 3), "transl": torch.zeros(0, 3)}, "K_fullimg": torch.zeros(0, 3, 3), "net_outputs": {"a": torch.zeros(2)}}),  # noqa: E501
    "GLAMR": ("a.pkl", as_pickle, {"person_data": {}, "meta": {"a": 1}}),
    "TRAM": ("a.npy", as_npy, np.array({"pred_rotmat": torch.zeros(0, 24, 3, 3).numpy(), "pred_trans": np.zeros((0, 1, 3)), "frame": np.zeros(0, int)}, object)),  # noqa: E501
    "PyMAF-X": ("a.pkl", as_joblib, {"pred_cam": np.zeros((0, 3)), "orig_cam_t": np.zeros((0, 3)), "pose": np.zeros((0, 72)), "smplx_params": []}),  # noqa: E501
    "SPIN": ("a.npz", as_npz, {"pred_joints": np.zeros((0, 17, 3)), "pose": np.zeros((0, 72)), "betas": np.zeros((0, 10)), "camera": np.zeros((0, 3))}),  # noqa: E501
    "ScoreHMR": ("a.npz", as_npz, {"pred_pose": np.zeros((0, 24, 3, 3)), "pred_betas": np.zeros((0, 10)), "pred_cam": np.zeros((0, 3)), "pred_cam_t": np.zeros((0, 3))}),  # noqa: E501
    "HumanData": ("a.npz", as_npz, {"smpl": np.array({"body_pose": np.zeros((0, 23, 3)), "global_orient": np.zeros((0, 3)), "betas": np.zeros((0, 10))}, object), "bbox_xywh": np.zeros((0, 5))}),  # noqa: E501
}  # fmt: skip
"""What is written where nobody is: file name, container, content."""


@pytest.fixture(params=FILES)
def nobody(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name, save, content = FILES[request.param]
    path = tmp_path / name
    save(path, content)
    return path


def test_a_result_without_people_is_an_estimate_of_nobody(nobody: Path, tmp_path: Path) -> None:
    estimate = read(nobody)
    assert len(estimate) == 0 and any("Nobody" in note for note in estimate.notes)
    write(estimate, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == nobody.read_bytes()


def test_it_is_no_error_where_its_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wham_output.pkl"
    as_pickle(path, {})
    assert len(read(path, format="wham")) == 0


def test_a_file_with_somebody_is_not_called_empty(tmp_path: Path) -> None:
    as_npz(tmp_path / "a.npz", smpl_parameters(1))
    as_joblib(tmp_path / "b.pkl", phalp.frames(1))
    path = romp_video.write(tmp_path / "c.npz", 1)
    nobody = formats()["nobody"]
    assert not any(nobody.recognises(one) for one in (tmp_path / "a.npz", tmp_path / "b.pkl", path))


def test_a_detectors_file_without_people_is_no_result(tmp_path: Path) -> None:
    as_json(tmp_path / "a.json", {"version": 1.3, "people": []})
    with pytest.raises(refine.InputError, match="2D keypoints"):
        read(tmp_path / "a.json")


def test_frames_without_people_stay_beside_those_with_some(tmp_path: Path) -> None:
    frames = phalp.frames(1)
    extra: dict[Any, Any] = {"nobody.jpg": {}} | frames
    as_joblib(tmp_path / "a.pkl", extra)
    as_joblib(tmp_path / "b.pkl", frames)
    estimate, other = read(tmp_path / "a.pkl"), read(tmp_path / "b.pkl")
    assert estimate.source.format == "phalp" and torch.equal(estimate.image_index, other.image_index + 1)


def test_all_ghosts_are_nobody(tmp_path: Path) -> None:
    frames = phalp.frames(1)
    for frame in frames.values():
        frame["tracked_time"] = [1] * len(frame["tracked_time"])
    as_joblib(tmp_path / "a.pkl", frames)
    assert len(read(tmp_path / "a.pkl")) == 0


def test_a_mapping_of_nobody_is_fitted_to_a_result_of_nobody() -> None:
    photo = np.zeros((48, 64, 3), np.uint8)
    for keypoints in (None, np.zeros((0, 17, 3), np.float32)):
        result = refine.fit(photo, ZERO, camera="fov60", keypoints=keypoints)
        assert len(result) == 0 and any("Nobody" in note for note in result.notes)


def test_a_file_of_nobody_is_fitted_and_inspected(nobody: Path) -> None:
    photo = np.zeros((48, 64, 3), np.uint8)
    assert len(refine.fit(photo, nobody)) == 0
    found = inspect(nobody)
    assert dict(found.facts)["people"] == "nobody"


def test_a_run_copies_results_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "res").mkdir()
    (tmp_path / "img").mkdir()
    for number, (name, save, content) in enumerate(FILES.values()):
        save(tmp_path / "res" / f"{number:06d}{Path(name).suffix}", content)
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "img" / "000000.png")
    summary = run_over(tmp_path / "res", images=tmp_path / "img", out=tmp_path / "out")
    assert {one.status for one in summary.files} == {"unchanged"}
    for one in summary.files:
        assert (one.people, one.reason) == (0, "nobody in it"), one
        assert (tmp_path / "out" / one.result).read_bytes() == (tmp_path / "res" / one.result).read_bytes()


def test_estimates_of_nobody_have_no_rows_anywhere(nobody: Path) -> None:
    estimate: Estimate = read(nobody)
    assert estimate.joints.shape[0] == estimate.vertices.shape[0] == len(estimate.image_index) == 0
