"""What regressors return in memory, in their exact layouts, generated: drawn numbers, no model file, no real person.

Each example holds the output, the batch it was made of, and points with the pixels the system's own formula gives them,
written here a second time in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from refine.body import anny, pose_body
from refine.state import Bodies
from tests.regressor_files import LSP14, PICKED, REGRESSED5, RIDERS, random_pose, riders, skeleton

WIDTH, HEIGHT = 640, 480
BODY25 = [None, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7]
"""SMPL's joint at each of BODY_25's first fifteen places."""

LISTED = ("nose",) * 15 + PICKED[1:11] + LSP14 + REGRESSED5 + ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
"""SPIN's 49 by name; the first fifteen are BODY25."""


@dataclass(frozen=True)
class Example:
    """One output.

    Attributes:
        output: What the model returns.
        batch: What it was called with.
        points: (B, N, 3) m, in the body's frame, or the camera's where the system works there.
        pixels: (B, N, 2) px of the photo, where the system sees them.
        in_camera: Whether the points are in the camera frame.
        own: (B, 22, 3) m, SMPL's body joints in the frame of the points.
        check: Compares what a (refined) output derives with the system's formulas; returns pairs of arrays that must
            agree.
    """

    output: Any
    batch: dict[str, Any]
    points: np.ndarray
    pixels: np.ndarray
    in_camera: bool
    own: np.ndarray
    check: Callable[[Any], list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class People:
    """Drawn people: matrices, betas, joints in the body's frame, points that ride on them, and crop cameras."""

    rotations: np.ndarray
    betas: np.ndarray
    joints: np.ndarray
    listed: np.ndarray
    weak: np.ndarray
    center: np.ndarray
    side: np.ndarray


def people(count: int, points: int, seed: int = 0) -> People:
    """Draw people; `listed` are the first `points` of SPIN's 49, which begin with HMR2's 44 and BODY_25."""
    draw = np.random.default_rng(seed)
    pose = random_pose(count, seed)
    joints, turned = skeleton(pose, 1.04)
    listed = riders(joints, turned, tuple(RIDERS[name] for name in LISTED[:points]), 1.04)
    for place, joint in enumerate(BODY25[:points]):
        if joint is not None:
            listed[:, place] = joints[:, joint]
    rotations = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(count, 24, 3, 3)
    weak = np.stack((draw.uniform(0.7, 0.9, count), *draw.uniform(-0.1, 0.1, (2, count))), 1)
    center = np.stack((np.linspace(200, 440, count), np.linspace(220, 260, count)), 1)
    return People(
        rotations, draw.standard_normal((count, 10)), joints, listed, weak, center, draw.uniform(300, 380, count)
    )


def t(array: Any) -> torch.Tensor:
    """As a network's output: float32."""
    return torch.as_tensor(np.asarray(array), dtype=torch.float32)


def n(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def full_translation(weak: np.ndarray, center: np.ndarray, side: np.ndarray, focal: np.ndarray | float) -> np.ndarray:
    """CLIFF's and HMR2's formula."""
    s, tx, ty = weak.T
    bs = side * s
    return np.stack(
        (tx + 2 * (center[:, 0] - WIDTH / 2) / bs, ty + 2 * (center[:, 1] - HEIGHT / 2) / bs, 2 * focal / bs), 1
    )


def pinhole(points: np.ndarray, focal: Any, center: Any) -> np.ndarray:
    """u = f X / Z + c; focal and center (B, 2) or numbers."""
    focal, center = (np.broadcast_to(np.asarray(part, float), (len(points), 2)) for part in (focal, center))
    return focal[:, None] * points[..., :2] / points[..., 2:] + center[:, None]


MIDDLE = (WIDTH / 2, HEIGHT / 2)


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


def spin(count: int = 2) -> Example:
    """SPIN's three tensors; with boxes in the batch."""
    drawn = people(count, 44)
    output = (t(drawn.rotations), t(drawn.betas), t(drawn.weak))
    batch = {
        "img": torch.zeros(count, 3, 224, 224),
        "box_center": t(drawn.center),
        "box_size": t(drawn.side),
        "img_size": t([HEIGHT, WIDTH]),
    }
    place = full_translation(drawn.weak, drawn.center, drawn.side, 5000.0)
    return Example(
        output,
        batch,
        drawn.listed,
        pinhole(drawn.listed + place[:, None], 5000.0, MIDDLE),
        False,
        drawn.joints[:, :22],
        lambda _: [],
    )


def cliff(count: int = 2) -> Example:
    """CLIFF's three tensors."""
    drawn, focal = people(count, 44), np.hypot(WIDTH, HEIGHT)
    output = (t(drawn.rotations), t(drawn.betas), t(drawn.weak))
    batch = {
        "img": torch.zeros(count, 3, 256, 192),
        "box_center": t(drawn.center),
        "box_size": t(drawn.side),
        "img_size": t([HEIGHT, WIDTH]),
    }
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)
    return Example(
        output,
        batch,
        drawn.listed,
        pinhole(drawn.listed + place[:, None], focal, MIDDLE),
        False,
        drawn.joints[:, :22],
        lambda _: [],
    )


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
    return Example(
        output,
        batch,
        drawn.listed,
        pinhole(drawn.listed + place[:, None], focal, MIDDLE),
        False,
        drawn.joints[:, :22],
        lambda _: [],
    )


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


def smplx_joints(drawn: People, total: int, fingers: np.ndarray | None = None) -> np.ndarray:
    """SMPL-X's joints and the points and face that smplx picks: drawn body, the built-in body's hands, feet, head.

    `fingers` are the turns (N, 30, 3) rad of the left hand and the right; the jaw line, which the package has last, is
    the built-in body's too.
    """
    body, count = anny.load(), len(drawn.joints)
    rest = body.rest_bodies(count)
    pose = rest.pose.clone()
    pose[:, :22] = t(drawn.rotations[:, :22])
    if fingers is not None:
        pose[:, 25:] = t(Rotation.from_rotvec(fingers.reshape(-1, 3)).as_matrix().reshape(count, 30, 3, 3))
    posed = pose_body(body, Bodies(pose, rest.shape, rest.expression, rest.translation))
    points = dict(
        zip(body.keypoint_set("coco133").names, posed.keypoints(body.keypoint_set("coco133")).unbind(1), strict=True)
    )
    tips = [
        f"{side}_{finger}4" for side in ("left", "right") for finger in ("thumb", "index", "middle", "ring", "pinky")
    ]
    feet = [f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")]
    face = [f"face_{place}" for place in (*range(17, 68), *range(17))]
    names = ("nose", "right_eye", "left_eye", "right_ear", "left_ear", *feet, *tips, *face)
    joints = n(posed.joints)
    picked = np.concatenate((joints[:, 22:], n(torch.stack([points[name] for name in names], 1))), 1)
    carrier = [15] * 3 + [20] * 15 + [21] * 15 + [15] * 5 + [7] * 3 + [8] * 3 + [20] * 5 + [21] * 5 + [15] * 68
    moved = picked + drawn.joints[:, carrier] - joints[:, carrier]
    return np.concatenate((drawn.joints[:, :22], moved), 1)[:, :total]


def dpose(count: int = 2) -> Example:
    """D-PoSE's tuple of five: parameters, depth, None, None, segmentation."""
    drawn, focal = people(count, 44), np.hypot(WIDTH, HEIGHT)
    joints = smplx_joints(drawn, 127)
    place = full_translation(drawn.weak, drawn.center, drawn.side, focal)
    pixels = pinhole(joints + place[:, None], focal, MIDDLE)
    parts = {
        "vertices": t(np.random.default_rng(1).standard_normal((count, 30, 3))), "joints3d": t(joints),
        "joints2d": t(pixels), "pred_cam_t": t(place),
        "pred_pose": t(drawn.rotations[:, :22]), "pred_cam": t(drawn.weak),
        "pred_shape": t(np.random.default_rng(3).standard_normal((count, 11))),
        "pred_pose_6d": t(drawn.rotations[:, :22, :, :2].reshape(count, 22, 6)),
    }  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    depth, scores = torch.rand(count, 1, 56, 56, generator=draw), torch.randn(count, 25, 56, 56, generator=draw)
    batch = {
        "img": torch.zeros(count, 3, 224, 224), "bbox_scale": t(drawn.side / 200), "bbox_center": t(drawn.center),
        "img_w": t([WIDTH] * count), "img_h": t([HEIGHT] * count),
    }  # fmt: skip

    def check(out: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        found = out[0]
        full = full_translation(n(found["pred_cam"]), drawn.center, drawn.side, focal)
        return [
            (n(found["pred_cam_t"]), full),
            (n(found["joints2d"]), pinhole(n(found["joints3d"]) + full[:, None], focal, MIDDLE)),
            (n(found["pred_pose_6d"]).reshape(count, 22, 3, 2), n(found["pred_pose"])[..., :2]),
        ]

    return Example((parts, depth, None, None, scores), batch, joints, pixels, False, drawn.joints[:, :22], check)


JOINT_IDX = [
    0, 1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21, 60, 61, 62, 63, 64, 65, 59, 58, 57, 56, 55,
    37, 38, 39, 66, 25, 26, 27, 67, 28, 29, 30, 68, 34, 35, 36, 69, 31, 32, 33, 70,
    52, 53, 54, 71, 40, 41, 42, 72, 43, 44, 45, 73, 49, 50, 51, 74, 46, 47, 48, 75, 22, 15, *range(76, 144),
]  # fmt: skip
"""The layer's joints that stand in SMPLest-X's list of 137 (its tail: any points of the face)."""


def smplestx(count: int = 2) -> Example:
    """SMPLest-X's test output: parts, cam_trans, 137 joints and their heatmap places, in the box's camera."""
    drawn = people(count, 44)
    aa = Rotation.from_matrix(drawn.rotations.reshape(-1, 3, 3)).as_rotvec().reshape(count, 24, 3)
    draw = np.random.default_rng(4)
    hands = 0.2 * draw.standard_normal((count, 2, 45))
    box = np.stack(
        (drawn.center[:, 0] - 0.375 * drawn.side, drawn.center[:, 1] - 0.5 * drawn.side, 0.75 * drawn.side, drawn.side),
        1,
    )
    place = np.stack((*draw.uniform(-0.2, 0.2, (2, count)), draw.uniform(35, 45, count)), 1)
    fingers = hands.reshape(count, 30, 3)
    listed = (smplx_joints(drawn, 144, fingers) + place[:, None])[:, (JOINT_IDX + [100] * 2)[:137]]
    inside = 5000 * listed[..., :2] / (listed[..., 2:] + 1e-4) + (96, 128)
    root = listed[:, :1]
    output = {
        "img": torch.zeros(count, 3, 512, 384), "smplx_joint_proj": t(inside / (192, 256) * (12, 16)),
        "smplx_mesh_cam": t(draw.standard_normal((count, 30, 3)) + place[:, None]), "smplx_root_pose": t(aa[:, 0]),
        "smplx_body_pose": t(aa[:, 1:22].reshape(count, 63)),
        "smplx_lhand_pose": t(hands[:, 0]), "smplx_rhand_pose": t(hands[:, 1]),
        "smplx_jaw_pose": t(0.1 * draw.standard_normal((count, 3))),
        "smplx_shape": t(drawn.betas), "smplx_expr": t(draw.standard_normal((count, 10))), "cam_trans": t(place),
        "smplx_joint_cam": t(listed - root),
    }  # fmt: skip
    batch = {"img": output["img"], "bbox": t(box), "img_shape": (HEIGHT, WIDTH)}
    # As main/inference.py renders: focal and principal point of the box, in px of the photo.
    focal = np.stack((5000 / 192 * box[:, 2], 5000 / 256 * box[:, 3]), 1)
    center = np.stack((96 / 192 * box[:, 2] + box[:, 0], 128 / 256 * box[:, 3] + box[:, 1]), 1)
    return Example(
        output, batch, listed, pinhole(listed, focal, center), True, drawn.joints[:, :22] + place[:, None], lambda _: []
    )


def osx(count: int = 2) -> Example:
    """OSX's test output: as SMPLest-X's, without 3D joints, with boxes of hands and face."""
    whole = smplestx(count)
    output = {name: value for name, value in whole.output.items() if name != "smplx_joint_cam"}
    output |= {"joint_img": torch.zeros(count, 65, 3), "lhand_bbox": torch.zeros(count, 4)}
    return Example(output, whole.batch, whole.points, whole.pixels, True, whole.own, whole.check)


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


def multihmr(count: int = 2) -> Example:
    """Multi-HMR's list of people of a photo padded to a square of 448 px."""
    drawn, side = people(count, 44), 448
    focal = side / (2 * np.tan(np.radians(30)))
    aa = Rotation.from_matrix(drawn.rotations.reshape(-1, 3, 3)).as_rotvec().reshape(count, 24, 3)
    draw = np.random.default_rng(4)
    rotvec = np.concatenate((aa[:, :22], 0.2 * draw.standard_normal((count, 31, 3))), 1)
    joints = (
        smplx_joints(drawn, 127, rotvec[:, 22:52])
        + np.stack((np.linspace(-0.5, 0.5, count), np.zeros(count), np.linspace(4, 5, count)), 1)[:, None]
    )
    inside = pinhole(joints, focal, side // 2)
    output = [
        {
            "scores": t(0.9), "loc": t(inside[row, 15]), "transl": t(joints[row, 15]),
            "transl_pelvis": t(joints[row, :1]), "rotvec": t(rotvec[row]),
            "expression": t(draw.standard_normal(10)), "shape": t(drawn.betas[row]),
            "v3d": t(draw.standard_normal((30, 3))), "j3d": t(joints[row]), "j2d": t(inside[row]),
        }
        for row in range(count)
    ]  # fmt: skip
    matrix = np.array([[[focal, 0, side // 2], [0, focal, side // 2], [0, 0, 1]]])
    batch = {"img": torch.zeros(1, 3, side, side), "K": t(matrix), "img_size": (HEIGHT, WIDTH)}
    # As demo.py renders at full resolution.
    pixels = pinhole(joints, focal * max(WIDTH, HEIGHT) / side, MIDDLE)

    def check(out: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = []
        for person in out:
            seen = pinhole(n(person["j3d"])[None], focal, side // 2)[0]
            pairs += [
                (n(person["j2d"]), seen), (n(person["loc"]), seen[15]), (n(person["transl"]), n(person["j3d"])[15]),
                (n(person["transl_pelvis"])[0], n(person["j3d"])[0]),
            ]  # fmt: skip
        return pairs

    return Example(output, batch, joints, pixels, True, joints[:, :22], check)


EXAMPLES: dict[str, Callable[[int], Example]] = {
    "camerahmr": camerahmr, "cliff": cliff, "dpose": dpose, "hmr2": hmr2, "multihmr": multihmr, "osx": osx,
    "perspose": perspose, "poco": poco,
    "smplestx": smplestx, "spin": spin, "tokenhmr": hmr2,
}  # fmt: skip
"""One for each regressor of the library: a new adapter comes with its own."""
