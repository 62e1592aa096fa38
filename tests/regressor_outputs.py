"""What regressors return in memory, in their exact layouts, generated: drawn numbers, no model file, no real person.

Each example holds the output, the batch it was made of, and points with the pixels the system's own formula gives them,
written here a second time in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.regressor_outputs_smplx import dpose, multihmr, osx, smplestx
from tests.regressor_people import HEIGHT, MIDDLE, WIDTH, Example, full_translation, n, people, pinhole, t


def hmr2(count: int = 2) -> Example:
    """4D-Humans' and TokenHMR's dictionary; img_size is (W, H)."""
    drawn = people(count, 44)
    s = drawn.weak[:, 0]
    crop_place = np.stack((drawn.weak[:, 1], drawn.weak[:, 2], 2 * 5000 / (256 * s + 1e-9)), 1)
    crop = 5000 / 256 * (drawn.listed + crop_place[:, None])[..., :2] / (drawn.listed + crop_place[:, None])[..., 2:]
    output = {
        "pred_cam": t(drawn.weak),
        "pred_smpl_params": {
            "global_orient": t(drawn.rotations[:, :1]), "body_pose": t(drawn.rotations[:, 1:]), "betas": t(drawn.betas),
        },
        "pred_cam_t": t(crop_place), "focal_length": torch.full((count, 2), 5000.0),
        "pred_keypoints_3d": t(drawn.listed),
        "pred_vertices": t(np.random.default_rng(1).standard_normal((count, 30, 3))), "pred_keypoints_2d": t(crop),
        "somebody_elses": torch.arange(3),
    }  # fmt: skip
    batch = {
        "img": torch.zeros(count, 3, 256, 256), "personid": torch.arange(count), "box_center": t(drawn.center),
        "box_size": t(drawn.side),
        "img_size": t([[WIDTH, HEIGHT]] * count),
    }  # fmt: skip
    focal = 5000 / 256 * WIDTH
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)

    def check(out: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        cam, crop_t = n(out["pred_cam"]), n(out["pred_cam_t"])
        seen = n(out["pred_keypoints_3d"]) + crop_t[:, None]
        return [
            (crop_t, np.stack((cam[:, 1], cam[:, 2], 2 * 5000 / (256 * cam[:, 0])), 1)),
            (n(out["pred_keypoints_2d"]), 5000 / 256 * seen[..., :2] / seen[..., 2:]),
        ]

    pixels = pinhole(drawn.listed + place[:, None], focal, MIDDLE)
    return Example(output, batch, drawn.listed, pixels, False, drawn.joints[:, :22], check)


def three_tensors(count: int, focal: float, shown: tuple[int, int]) -> Example:
    """Rotations, betas and crop cameras, with boxes in the batch; `shown` is the network's input, height and width."""
    drawn = people(count, 44)
    output = (t(drawn.rotations), t(drawn.betas), t(drawn.weak))
    batch = {
        "img": torch.zeros(count, 3, *shown), "box_center": t(drawn.center), "box_size": t(drawn.side),
        "img_size": t([HEIGHT, WIDTH]),
    }  # fmt: skip
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)
    pixels = pinhole(drawn.listed + place[:, None], focal, MIDDLE)
    return Example(output, batch, drawn.listed, pixels, False, drawn.joints[:, :22], lambda _: [])


def spin(count: int = 2) -> Example:
    """SPIN's three tensors."""
    return three_tensors(count, 5000.0, (224, 224))


def cliff(count: int = 2) -> Example:
    """CLIFF's three tensors."""
    return three_tensors(count, float(np.hypot(WIDTH, HEIGHT)), (256, 192))


def camerahmr(count: int = 2) -> Example:
    """CameraHMR's three: parameters, camera, focal length; img_size is (H, W), the focal length is predicted."""
    drawn, focal = people(count, 44), HEIGHT / (2 * np.tan(0.4))
    parts = {
        "global_orient": t(drawn.rotations[:, :1]),
        "body_pose": t(drawn.rotations[:, 1:]),
        "betas": t(drawn.betas),
    }
    matrix = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    batch = {
        "img": torch.zeros(count, 3, 256, 256), "box_center": t(drawn.center), "box_size": t(drawn.side),
        "img_size": t([[HEIGHT, WIDTH]] * count), "cam_int": t([matrix] * count),
    }  # fmt: skip
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)
    output = (parts, t(drawn.weak), t([focal] * count))
    pixels = pinhole(drawn.listed + place[:, None], focal, MIDDLE)
    return Example(output, batch, drawn.listed, pixels, False, drawn.joints[:, :22], lambda _: [])


def poco(count: int = 2) -> Example:
    """POCO's dictionary with a CLIFF head: 49 joints, their pixels in the photo, var_pose."""
    drawn, focal = people(count, 49), np.hypot(WIDTH, HEIGHT)
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)
    pixels = pinhole(drawn.listed + place[:, None], focal, MIDDLE)
    crop_place = np.stack((drawn.weak[:, 1], drawn.weak[:, 2], 2 * 5000 / (224 * drawn.weak[:, 0] + 1e-9)), 1)
    output = {
        "smpl_vertices": t(np.random.default_rng(1).standard_normal((count, 30, 3))), "smpl_joints3d": t(drawn.listed),
        "smpl_joints2d": t(pixels),
        "pred_cam_t": t(crop_place), "pred_fullimg_cam_t": t(place), "pred_pose": t(drawn.rotations),
        "pred_cam": t(drawn.weak),
        "pred_shape": t(drawn.betas), "pred_pose_6d": t(drawn.rotations[..., :2].reshape(count, 144)),
        "uncert_feat": torch.zeros(count, 8),
        "var_pose": t(np.random.default_rng(2).uniform(0.02, 0.3, (count, 24))), "log_phi": None,
    }  # fmt: skip
    batch = {
        "img": torch.zeros(count, 3, 224, 224), "bbox_info": torch.zeros(count, 3), "focal_length": t([focal] * count),
        "scale": t(drawn.side / 200), "center": t(drawn.center), "orig_shape": t([[HEIGHT, WIDTH]] * count),
    }  # fmt: skip

    def check(out: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        cam = n(out["pred_cam"])
        full = full_translation(cam, drawn.center, drawn.side, focal)
        return [
            (n(out["pred_fullimg_cam_t"]), full),
            (n(out["pred_cam_t"]), np.stack((cam[:, 1], cam[:, 2], 2 * 5000 / (224 * cam[:, 0])), 1)),
            (n(out["smpl_joints2d"]), pinhole(n(out["smpl_joints3d"]) + full[:, None], focal, MIDDLE)),
            (n(out["pred_pose_6d"]).reshape(count, 24, 3, 2), n(out["pred_pose"])[..., :2]),
        ]

    return Example(output, batch, drawn.listed, pixels, False, drawn.joints[:, :22], check)


def perspose(count: int = 2) -> Example:
    """PersPose's dictionary, in the turned crop's camera."""
    drawn = people(count, 44)
    f, c = 700.0, (128.0, 128.0)
    joints24 = drawn.joints + np.array([0.1, 0.2, 5.0])
    joints = np.concatenate((joints24, joints24[:, :1] + 0.02), 1)
    transl = joints24[:, 0] - np.array([-0.002, -0.223, 0.028])
    output = {
        "uv": t(pinhole(joints, f, c)), "depth": t((joints - joints[:, :1])[..., 2:]),
        "density": t(1000 * joints[..., 2:] / f), "xyz": t(joints - joints[:, :1]),
        "xyz0": t(joints[:, :1]), "ortho_twist": torch.zeros(count, 25, 3), "leaf_rot": torch.zeros(count, 5, 9),
        "beta": t(np.random.default_rng(3).standard_normal((count, 11))),
        "theta": t(drawn.rotations), "transl": t(transl),
    }  # fmt: skip
    matrix = np.array([[f, 0, c[0]], [0, f, c[1]], [0, 0, 1]])
    batch = {
        "img": torch.zeros(count, 3, 256, 256),
        "cam_intrinsics": t([matrix] * count),
        "dataset_name": ["3dhp"] * count,
    }

    def check(out: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        density = n(out["depth"]) / f + n(out["xyz0"])[..., 2:] / f
        xy = (n(out["uv"]) - c) * density
        return [
            (n(out["density"]), 1000 * density),
            (xy - xy[:, :1], n(out["xyz"])[..., :2]),
            (xy[:, :1], n(out["xyz0"])[..., :2]),
        ]

    return Example(output, batch, joints, pinhole(joints, f, c), True, joints24[:, :22], check)


EXAMPLES: dict[str, Callable[[int], Example]] = {
    "camerahmr": camerahmr, "cliff": cliff, "dpose": dpose, "hmr2": hmr2, "multihmr": multihmr, "osx": osx,
    "perspose": perspose, "poco": poco,
    "smplestx": smplestx, "spin": spin, "tokenhmr": hmr2,
}  # fmt: skip
"""One for each regressor of the library: a new adapter comes with its own."""
