"""What regressors of SMPL-X return in memory, in their exact layouts, generated as in `regressor_outputs`."""

from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from refine.body import anny, pose_body
from refine.state import Bodies
from tests.regressor_people import HEIGHT, MIDDLE, WIDTH, Example, People, full_translation, n, people, pinhole, t


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
