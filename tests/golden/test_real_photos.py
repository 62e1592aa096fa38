"""Real photos with real regressors' output: the pose transfer, and the refinement of a BEV estimate with ViTPose
keypoints."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import refine
from priors import JointLimits

ROMP_PIXELS, ROMP_MM = 6.0, 25.0
ARM_PIXELS = 10.0
MOST_SIGMAS = 3.0
LEGS = ("hip", "knee", "ankle", "foot")
ARMS = ("shoulder", "elbow", "wrist")


def test_the_transferred_joints_of_a_romp_estimate_lie_on_its_own(real_data: Callable[[str], Path]) -> None:
    estimate = refine.read(real_data("romp_photo") / "romp_output.npz")
    own = estimate.source
    assert own.joints is not None and own.keypoints_2d is not None
    pixels = (estimate.keypoints_2d("smpl24") - own.keypoints_2d[:, :24]).norm(dim=-1)
    points = estimate.posed.keypoints(estimate.body.keypoint_set("smpl24"))
    apart = (points - points[:, :1]) - (own.joints[:, :24] - own.joints[:, :1])
    assert float(pixels.mean()) < ROMP_PIXELS
    assert 1000 * float(apart.norm(dim=-1).mean()) < ROMP_MM


@pytest.fixture(scope="module")
def pair(real_data: Callable[[str], Path]) -> refine.Result:
    folder = real_data("bev_pair")
    return refine.fit(folder / "image_1.jpg", folder / "image_1_0.08.npz", keypoints=folder / "image_1_keypoints.json")


def arms(pair: refine.Result, row: int) -> tuple[list[int], torch.Tensor]:
    """Points of the arms with confidence of a half and more, and which of them the border rule lets count."""
    found = pair.detections
    assert found is not None
    names = pair.body.keypoint_set(found.name).names[:25]
    sure = [k for k, name in enumerate(names) if name.endswith(ARMS) and found.confidence[row, k] >= 0.5]
    extent = pair.camera.size[row].flip(-1)
    inside = ((found.pixel[row] > 0.02 * extent) & (found.pixel[row] < 0.98 * extent)).all(-1)
    return sure, inside[sure]


def misfit(pair: refine.Result, estimate: refine.Estimate, row: int, points: list[int]) -> float:
    found = pair.detections
    assert found is not None
    return float((estimate.keypoints_2d(found.name)[row, points] - found.pixel[row, points]).norm(dim=-1).mean())


def test_the_arms_of_the_bev_pair_come_onto_their_keypoints(pair: refine.Result) -> None:
    for row in range(2):
        sure, inside = arms(pair, row)
        seen = [point for point, keep in zip(sure, inside.tolist(), strict=True) if keep]
        assert len(seen) >= 5
        assert misfit(pair, pair.estimate, row, seen) > 20.0  # it was in need of refinement
        assert misfit(pair, pair.refined, row, seen) < ARM_PIXELS


def test_no_joint_of_the_bev_pair_leaves_its_limits_or_the_estimate(pair: refine.Result) -> None:
    sigma = pair.body.usual_sigma_rad.to(pair.turned)
    assert float((torch.deg2rad(pair.turned) / sigma).max()) < MOST_SIGMAS
    allowed = math.radians(2.0)  # limits are soft: keypoints of a finger lean on one by 1.4°, those of an arm by 0.8°
    assert float(JointLimits().violations(pair.bodies.pose, pair.body.joint_names).max()) < allowed


def test_legs_below_the_frame_are_left_as_they_were(pair: refine.Result) -> None:
    legs = [j for j, name in enumerate(pair.body.joint_names) if name.endswith(LEGS)]
    assert float(pair.turned[:, legs].max()) < 0.5  # degrees


def test_the_command_line_writes_every_file_and_the_source_format_reads_back(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = real_data("bev_pair")
    command = [
        sys.executable,
        "-m",
        "refine",
        "fit",
        str(folder / "image_1.jpg"),
        "--init",
        str(folder / "image_1_0.08.npz"),
    ]
    command += ["--keypoints", str(folder / "image_1_keypoints.json"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "image_1_refine.npz",
        "image_1_refined.npz",
        "image_1_overlay.jpg",
        "image_1_report.png",
        "image_1.obj",
        "image_1.glb",
        "image_1.html",
    }
    result = refine.load(tmp_path / "out" / "image_1_refine.npz")
    again = refine.read(tmp_path / "out" / "image_1_refined.npz")
    assert float((again.bodies.pose[:, :22] - result.bodies.pose[:, :22]).abs().max()) < 1e-3
    pelvis = (again.joints[:, 0] - result.joints[:, 0]).norm(dim=-1)
    assert float(pelvis.max()) < 0.01
    assert np.isfinite(result.vertices.numpy()).all()
