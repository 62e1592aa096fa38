"""Folders of results and keypoints with one planted fault: three formats, what is wrong, the option that undoes it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody, pose_body
from refine.body.keypoint_names import SETS
from refine.evaluate.disturbance import disturb
from refine.evaluate.people import people
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.inputs.corrections import H36M17
from refine.state import State
from tests import joblib_layout

HEIGHT, WIDTH = 480, 640
COUNT = 48

EXTENT = torch.tensor([float(WIDTH), float(HEIGHT)])


def mirror_names(pixel: Tensor) -> Tensor:
    """COCO's points with left and right exchanged."""
    order = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    return pixel[:, order]


def cut_around(pixel: Tensor) -> Tensor:
    """Points as they lie in a square cut around each person, resized to 256 px."""
    low, high = pixel.amin(1, keepdim=True), pixel.amax(1, keepdim=True)
    side = 1.2 * (high - low).amax(2, keepdim=True)
    return (pixel - (low + high) / 2 + side / 2) * 256 / side


KEYPOINT_FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], str, str]] = {
    "half the size": (lambda p: p / 2, "size", "--correct keypoints.size=320x240"),
    "shares": (lambda p: p / EXTENT, "size", "--correct keypoints.size=1x1"),
    "padded": (lambda p: p + (640 - EXTENT) / 2, "padding", "--correct keypoints.letterbox=photo"),
    "letterbox": (lambda p: (p + (640 - EXTENT) / 2) * 0.4, "padding", "--correct keypoints.letterbox=256"),
    "cut of the photo": (lambda p: p - torch.tensor([60.0, 45.0]), "offset", "--correct keypoints.offset=60,45"),
    "cut of each person": (cut_around, "crops", ""),
    "sides": (mirror_names, "sides", "--correct keypoints.sides=swapped"),
    "mirror": (lambda p: mirror_names(torch.stack((WIDTH - p[..., 0], p[..., 1]), -1)), "mirror", "--correct keypoints.mirror=yes"),  # noqa: E501
    "y before x": (lambda p: p.flip(-1), "yx", "--correct keypoints.axes=yx"),
    "y upward": (lambda p: torch.stack((p[..., 0], HEIGHT - p[..., 1]), -1), "keypoints-y-up", "--correct keypoints.axes=y-up"),  # noqa: E501
}  # fmt: skip
"""What is done to the keypoints, and what is to be found."""


@dataclass(frozen=True)
class People:
    """Estimates (one a photo), the true people's keypoints (N, K, 2) px by set, and their cameras."""

    body: SkinnedBody
    estimate: State
    points: dict[str, Tensor]


def draw_people(
    body: SkinnedBody, seed: int, strength: str = "medium", count: int = COUNT, rule: str = "diagonal"
) -> People:
    """People in photos of one size, at different places and distances, under a focal rule; estimates of a strength."""
    true = people(body, count, seed)
    draw = torch.Generator().manual_seed(seed)
    camera = camera_from_rule(rule, torch.tensor([[float(HEIGHT), float(WIDTH)]]).expand(count, 2))
    depth = 3.0 + 2.0 * torch.rand(count, generator=draw)
    across = (torch.rand(count, 2, generator=draw) - 0.5) * torch.tensor([0.9, 0.15]) * depth[:, None] * 0.5
    pelvis = torch.cat((across, depth[:, None]), 1)
    at = pose_body(body, true.bodies).joints[:, 0]
    moved = replace(true.bodies, translation=true.bodies.translation + pelvis - at)
    state = State(moved, camera)
    estimate = disturb(body, state, strength, range(1000 * seed, 1000 * seed + count))
    posed = pose_body(body, state.bodies)
    points = {name: camera.project(posed.keypoints(body.keypoint_set(name))) for name in ("coco17", "body25")}
    joints = dict(zip(SETS["smplx55"], camera.project(posed.joints).unbind(1), strict=False))
    coco = dict(zip(SETS["coco17"], points["coco17"].unbind(1), strict=True))
    named = {**joints, **coco, "pelvis": joints["pelvis"], "spine": joints["spine2"], "thorax": joints["neck"],
             "neck": joints["head"], "head_top": coco["nose"]}  # fmt: skip
    points["h36m17"] = torch.stack([named[name] for name in H36M17], 1)
    return People(body, estimate, points)


def walkers(body: SkinnedBody, seed: int, count: int = 90) -> People:
    """One person over time, swinging arms and legs and crossing the photo."""
    one = draw_people(body, seed, "perfect", 1).estimate
    bodies = one.bodies[torch.zeros(count, dtype=torch.long)]
    t = torch.arange(count) / 30
    step = torch.zeros(count, len(body.joint_names), 3)
    for joint, size, phase in (
        ("left_hip", 0.5, 0.0),
        ("right_hip", 0.5, np.pi),
        ("left_shoulder", 0.7, np.pi),
        ("right_shoulder", 0.7, 0.0),
    ):
        step[:, body.joint_names.index(joint), 0] = size * torch.sin(2 * np.pi * t + phase)
    where = bodies.translation + torch.stack((0.6 * torch.sin(1.3 * t), 0 * t, 0.2 * t), 1)
    camera = one.camera[torch.zeros(count, dtype=torch.long)]
    state = State(replace(bodies, pose=bodies.pose @ rotation.exp(step), translation=where), camera)
    # A regressor's error of one person hangs together from frame to frame: the same in all, and a little of its own.
    estimate = disturb(body, state, "strong", [seed] * count)
    shaken = disturb(body, estimate, "near", range(count))
    points = camera.project(pose_body(body, state.bodies).keypoints(body.keypoint_set("coco17")))
    return People(body, shaken, {"coco17": points})


def write_photos(root: Path, count: int) -> list[str]:
    """Grey photos 000000.jpg, ...; returns the stems."""
    (root / "images").mkdir(parents=True)
    grey = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    names = [f"{index:06d}" for index in range(count)]
    for name in names:
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), grey)
    return names


def noisy(pixel: Tensor, seed: int, noise_px: float = 3.0) -> Tensor:
    """Points as a detector sees them."""
    return pixel + noise_px * torch.randn(pixel.shape, generator=torch.Generator().manual_seed(seed))


def write_keypoints(root: Path, pixel: Tensor, seed: int) -> None:
    """MMPose's instances, one file a photo, with a few unsure points."""
    draw = torch.Generator().manual_seed(seed + 1)
    score = torch.where(torch.rand(pixel.shape[:2], generator=draw) < 0.08, 0.1, 0.9)
    (root / "keypoints").mkdir(parents=True)
    for index, (points, sure) in enumerate(zip(pixel.tolist(), score.tolist(), strict=True)):
        content = [{"keypoints": points, "keypoint_scores": sure}]
        (root / "keypoints" / f"{index:06d}.json").write_text(json.dumps(content))


Write = Callable[[Path, State, list[str]], None]


def write_parameters(root: Path, state: State, names: list[str], hand: float | None = None) -> None:
    """SMPL-X's names, one npz a photo, without a camera."""
    (root / "results").mkdir(parents=True)
    turns = rotation.log(state.bodies.pose).numpy()
    draw = np.random.default_rng(0)
    for row, name in enumerate(names):
        fingers = turns[row, 25:55].copy() + 0.05 * draw.standard_normal((30, 3))
        if hand is not None:
            fingers = 0.05 * draw.standard_normal((30, 3))
            fingers[:, 2] += (
                0.15 * draw.standard_normal() * np.repeat([-1.0, 1.0], 15)
            )  # one hand closes about -z, the other about z
        np.savez(
            root / "results" / f"{name}.npz", global_orient=turns[row : row + 1, 0], body_pose=turns[row, 1:22].reshape(1, 63),  # noqa: E501
            left_hand_pose=fingers[:15].reshape(1, 45), right_hand_pose=fingers[15:].reshape(1, 45), betas=np.zeros((1, 10)), jaw_pose=np.zeros((1, 3)),  # noqa: E501
            transl=_smplx_transl(state)[row : row + 1],
        )  # fmt: skip


def _smplx_transl(state: State) -> np.ndarray:
    """`transl` of SMPL-X's mean body whose pelvis lies where the built-in one's does."""
    from refine.body import anny

    pelvis = pose_body(anny.load(), state.bodies).joints[:, 0]
    return (pelvis - pelvis.new_tensor([0.0031, -0.3514, 0.0120])).numpy()


def _smpl(state: State) -> tuple[np.ndarray, np.ndarray]:
    """SMPL's axis-angle pose (N, 72) and `transl` (N, 3) of the mean body."""
    from refine.body import anny

    pelvis = pose_body(anny.load(), state.bodies).joints[:, 0]
    turns = rotation.log(state.bodies.pose[:, :22]).flatten(1).numpy()
    return np.concatenate((turns, np.zeros((len(turns), 6))), 1), (
        pelvis - pelvis.new_tensor([-0.0018, -0.2233, 0.0282])
    ).numpy()


def write_wham(root: Path, state: State, names: list[str]) -> None:
    """WHAM's pickle: one track, frame by frame."""
    (root / "results").mkdir(parents=True)
    pose, transl = _smpl(state)
    count = len(names)
    person = {
        "pose": pose.astype(np.float32), "trans": transl.astype(np.float32), "pose_world": pose.astype(np.float32),
        "trans_world": transl.astype(np.float32), "betas": np.zeros((count, 10), np.float32),
        "verts": np.zeros((count, 0, 3), np.float32), "frame_ids": np.arange(count),
    }  # fmt: skip
    del person["verts"]
    joblib_layout.dump({0: person}, root / "results" / "wham_output.pkl")


def write_cliff(root: Path, state: State, names: list[str]) -> None:
    """CLIFF's npz: all photos in one file, focal lengths stored."""
    (root / "results").mkdir(parents=True)
    pose, transl = _smpl(state)
    count = len(names)
    from refine.body import anny

    joints = pose_body(anny.load(), state.bodies).joints[:, :24].numpy().copy()
    joints[:, 22:] = joints[:, 20:22]  # SMPL's hands, near the wrists
    boxes = np.concatenate((np.arange(count)[:, None], np.tile([[0, 0, 100, 200, 0.9, 0.9, 0]], (count, 1))), 1)
    np.savez(
        root / "results" / "images_cliff_hr48.npz", imgname=np.array([f"{name}.jpg" for name in names]), pose=pose.astype(np.float32),  # noqa: E501
        shape=np.zeros((count, 10), np.float32), global_t=transl.astype(np.float32),
        pred_joints=np.pad(joints, ((0, 0), (0, 21), (0, 0))).astype(np.float32),
        focal_l=state.camera.focal[:, 0].numpy(), detection_all=boxes.astype(np.float32),
    )  # fmt: skip


def camera_of(rule: str, count: int) -> Camera:
    """Cameras of the photos by rule."""
    return camera_from_rule(rule, torch.tensor([[float(HEIGHT), float(WIDTH)]]).expand(count, 2))


def bent_fingers(state: State, bend: float) -> np.ndarray:
    """Finger rotations (N, 30, 3) rad bent by `bend` on average: left fingers close about -z, right ones about z."""
    draw = np.random.default_rng(1)
    fingers = 0.05 * draw.standard_normal((len(state), 30, 3))
    fingers[..., 2] += (bend + 0.15 * draw.standard_normal((len(state), 1))) * np.repeat([-1.0, 1.0], 15)
    return fingers


def write_hands(root: Path, state: State, names: list[str], format: str, bend: float) -> None:
    """Results with hands in a format of SMPL-X: "parameters" (nobody says what they stand on), "multihmr_humans" (a
    flat hand), "smplerx" (the mean one)."""
    turns, fingers = rotation.log(state.bodies.pose).numpy(), bent_fingers(state, bend)
    (root / "results").mkdir(parents=True)
    pelvis = state.bodies.translation.numpy()
    for row, name in enumerate(names):
        body, left, right = turns[row, 1:22], fingers[row, :15], fingers[row, 15:]
        if format == "multihmr_humans":
            pose = np.concatenate((turns[row, :1], body, left, right, np.zeros((1, 3))))
            person = {
                "rotvec": pose,
                "shape": np.zeros(10),
                "expression": np.zeros(10),
                "transl_pelvis": pelvis[row][None],
            }
            tensors = {key: torch.tensor(value, dtype=torch.float32) for key, value in person.items()}
            torch.save([tensors], root / "results" / f"{name}.pt")
            continue
        words = {
            "global_orient": turns[row, :1], "body_pose": body, "left_hand_pose": left, "right_hand_pose": right, "jaw_pose": np.zeros((1, 3)),  # noqa: E501
            "leye_pose": np.zeros((1, 3)), "reye_pose": np.zeros((1, 3)), "betas": np.zeros((1, 10)), "expression": np.zeros((1, 10)),  # noqa: E501
            "transl": _smplx_transl(state)[row : row + 1],
        }  # fmt: skip
        if format == "parameters":
            rows = {key: value.reshape(1, -1) for key, value in words.items()}
            np.savez(root / "results" / f"{name}.npz", **rows)  # type: ignore[arg-type]
            continue
        for folder in ("smplx", "meta"):
            (root / "results" / folder).mkdir(exist_ok=True)
        np.savez(root / "results" / "smplx" / f"{name}.npz", **words)  # type: ignore[arg-type]
        box = [100.0, 40.0, 225.0, 300.0]
        meta = {
            "focal": [5000 / 192 * box[2], 5000 / 256 * box[3]], "princpt": [box[0] + box[2] / 2, box[1] + box[3] / 2], "bbox": box,  # noqa: E501
            "bbox_mmdet": box, "bbox_id": 1, "img_path": f"{name}.jpg",
        }  # fmt: skip
        (root / "results" / "meta" / f"{name}.json").write_text(json.dumps(meta))
