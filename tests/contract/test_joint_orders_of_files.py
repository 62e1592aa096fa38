"""Files whose joints are in another order than their names say: read without them, and written back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import refine.transfer
from refine.body import pose_body
from refine.body.keypoint_names import SMPL22, SMPL24
from refine.formats.find import read, write
from refine.inspection.result_file import inspect
from refine.transfer.joint_orders import HMR2_44
from tests import joblib_layout
from tests.format_examples import LAYOUTS
from tests.layouts import phalp
from tests.layouts.bev import bev_results
from tests.layouts.cliff import arrays as cliff_arrays
from tests.layouts.parameters import smpl_parameters
from tests.layouts.romp import romp_results
from tests.refinements import refined
from tests.regressor_files import HEIGHT, WIDTH, skeleton


def permuted_file(name: str, path: Path, order: np.ndarray) -> dict[str, Any]:
    """Write a file with joints and their pixels in another order; returns what is needed to read it."""
    if name in ("romp", "bev"):
        content = (romp_results if name == "romp" else bev_results)(2)
        content |= {key: content[key][:, order] for key in ("joints", "pj2d_org")}
        np.savez(path, results=content)
        return {}
    if name == "cliff":
        content = cliff_arrays(2)
        np.savez(path, **content | {"pred_joints": content["pred_joints"][:, order]})
        return {"sizes": torch.tensor([[float(HEIGHT), float(WIDTH)]])}
    if name == "parameters":
        content = smpl_parameters(2)
        np.savez(path, **content | {"joints": content["joints"][:, order]})
        return {}
    frames = phalp.frames(2)
    for lists in frames.values():
        for place in range(len(lists["tid"])):
            lists["3d_joints"][place] = lists["3d_joints"][place][order]
            lists["2d_joints"][place] = lists["2d_joints"][place].reshape(45, 2)[order].reshape(-1)
    joblib_layout.dump(frames, path, 3)
    return {}


WIDTHS = {"romp": (24, 71), "bev": (24, 71), "cliff": (24, 45), "parameters": (24, 24), "phalp": (44, 45)}
"""How many of a file's joints are exchanged here, and how many it has."""


@pytest.mark.parametrize("name", WIDTHS)
def test_a_file_in_an_unknown_order_is_read_without_its_joints_and_written_back(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few, whole = WIDTHS[name]
    order = np.concatenate((np.random.default_rng(4).permutation(few), np.arange(few, whole)))
    path = tmp_path / f"x{LAYOUTS[name].SUFFIX}"
    known = permuted_file(name, path, order)
    estimate = read(path, **known)
    assert estimate.source.joints is None
    assert any("set aside" in note for note in estimate.notes)
    assert any("set aside" in record.message and path.name in record.message for record in caplog.records)
    straight = read(LAYOUTS[name].write(tmp_path / f"straight{LAYOUTS[name].SUFFIX}"), **known)
    seen, meant = (one.camera.project(one.joints[:, :1]) for one in (estimate, straight))
    assert float((seen - meant).abs().max()) < 0.2 * float(
        (meant - straight.camera.project(straight.joints[:, 15:16])).norm(dim=-1).max()
    )
    (tmp_path / "out").mkdir()
    write(refined(estimate), tmp_path / "out" / path.name)
    again = read(tmp_path / "out" / path.name, **known)
    assert torch.allclose(again.source.pose, refine.transfer.refined_source(refined(estimate)).pose, atol=2e-6)
    pelvis, wanted = (one.camera.project(one.joints[:, :1]) for one in (again, refined(estimate)))
    assert float((pelvis - wanted).abs().max()) < 3.0  # the place is the middle of what was stored


def test_inspect_calls_a_contradiction_suspicious(tmp_path: Path) -> None:
    order = np.concatenate((np.random.default_rng(4).permutation(24), np.arange(24, 71)))
    permuted_file("romp", tmp_path / "x.npz", order)
    assert any("do not follow from the stored rotations" in line for line in inspect(tmp_path / "x.npz").suspicious)


def test_phalps_joints_are_in_the_order_of_its_smpl_wrapper(tmp_path: Path) -> None:
    estimate = read(phalp.write(tmp_path / "x.pkl"))
    source = estimate.source
    assert source.joints is not None and source.keypoints_2d is not None and not source.doubts
    assert source.joint_names == SMPL24 + HMR2_44
    rows = [(number, frame) for frame in range(3) for number in range(2) if (number, frame) != (0, 2)]
    for row, (number, frame) in enumerate(rows):
        pose = np.asarray(phalp.random_pose(1, 10 * number + frame))
        joints, _ = skeleton(pose, 1.0 + 0.04 * number)
        assert source.translation is not None
        apart = np.linalg.norm(
            source.joints[row, :22].numpy() - source.translation[row].numpy() - joints[0, :22], axis=1
        )
        assert apart.max() < 0.03, SMPL22[int(apart.argmax())]
        listed = [SMPL22.index(name) for name in HMR2_44[:15] if name in SMPL22]
        assert apart[listed].max() < 1e-4
    assert float((estimate.camera.project(source.joints) - source.keypoints_2d).abs().max()) < 0.05


def test_phalps_people_are_of_their_own_size_and_lie_on_their_joints(tmp_path: Path) -> None:
    estimate = read(phalp.write(tmp_path / "x.pkl"))
    assert estimate.source.joints is not None
    apart = (estimate.joints[:, :22] - estimate.source.joints[:, :22]).norm(dim=2)
    assert float(apart.mean()) < 0.03
    assert not any("times as large" in note for note in estimate.notes)
    vertices = estimate.vertices
    rest = replace(estimate.bodies, pose=torch.eye(3).expand_as(estimate.bodies.pose))
    tall = pose_body(estimate.body, rest).vertices[..., 1]
    height = tall.amax(1) - tall.amin(1)
    assert vertices.isfinite().all() and float(height.min()) > 1.5 and float(height.max()) < 2.0


def test_phalps_joints_in_smpls_own_order_are_known_for_that(tmp_path: Path) -> None:
    content = phalp.frames(2)
    for lists in content.values():
        for place in range(len(lists["tid"])):
            pose = lists["smpl"][place]
            local = np.concatenate((pose["global_orient"], pose["body_pose"]))
            from scipy.spatial.transform import Rotation

            joints, _ = skeleton(Rotation.from_matrix(local).as_rotvec()[None])
            listed = np.concatenate((joints[0], np.repeat(joints[0, :1], 20, 0), np.zeros((1, 3))))
            seen = listed + lists["camera"][place]
            lists["3d_joints"][place] = listed.astype(np.float32)
            lists["2d_joints"][place] = (5000 / 256 * seen[:, :2] / seen[:, 2:] + 0.5).reshape(-1).astype(np.float32)
    joblib_layout.dump(content, tmp_path / "x.pkl", 3)
    source = read(tmp_path / "x.pkl").source
    assert any("another order, SMPL:" in doubt for doubt in source.doubts)
    assert source.joints is not None and source.joint_names[:24] == SMPL24
