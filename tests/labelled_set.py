"""A small rendered set in BEDLAM's layout, made with the library: four people in three images, one of them stored
lying."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from refine.body import SkinnedBody, pose_body
from refine.body.smpl_joints import BODY_JOINTS
from refine.estimate.pelvis import REST_PELVIS_M
from refine.evaluate.casting import ADULT_SHAPES
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.render import shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.state import Bodies

WALLS = ((200, 60, 20), (30, 160, 90), (40, 70, 190))
"""Colour of each image's wall, RGB."""
IMAGE = (0, 0, 1, 2)
"""Which image each person is in; the second stands right behind the first."""
SIZES = ((240, 320), (240, 320), (320, 240))
"""Height and width of each image, upright; the third is stored a quarter turn counter-clockwise."""
FOCAL = 380.0


@dataclass(frozen=True)
class LabelledSet:
    """The files, and the truth they were made from: `bodies` on the built-in body, `cameras` one a person."""

    labels: Path
    images: Path
    bodies: Bodies
    camera: Camera


def labelled_set(folder: Path, body: SkinnedBody) -> LabelledSet:
    """Write the set into a folder."""
    draw = torch.Generator().manual_seed(3)
    count = len(IMAGE)
    step = torch.zeros(count, len(body.joint_names), 3)
    step[:, 1:BODY_JOINTS] = 0.2 * torch.randn(count, BODY_JOINTS - 1, 3, generator=draw)
    step[:, 0] = torch.tensor([torch.pi, 0.0, 0.0])
    shape = torch.randn(count, body.shape_basis.shape[2], generator=draw)
    shape[:, ADULT_SHAPES:] = 0
    place = torch.tensor([[-0.15, 0.1, 3.6], [0.2, 0.1, 4.8], [0.0, 0.1, 3.5], [0.05, 0.1, 3.2]])
    rest = body.rest_bodies(count)
    bodies = Bodies(rotation.exp(step), shape, rest.expression, place)
    size = torch.tensor([SIZES[image] for image in IMAGE], dtype=torch.float32)
    camera = Camera(torch.full((count, 2), FOCAL), size.flip(1) / 2, size)
    images = folder / "png"
    names = []
    for image, wall in enumerate(WALLS):
        name = f"seq_00000{image}/seq_00000{image}_0000.png"
        (images / name).parent.mkdir(parents=True)
        picture = _picture(body, bodies, camera, [row for row, at in enumerate(IMAGE) if at == image], wall)
        stored = np.rot90(picture, 1) if image == 2 else picture
        cv2.imwrite(str(images / name), np.ascontiguousarray(stored[..., ::-1]))
        names.append(name)
    posed = pose_body(body, bodies)
    pixels = camera.project(posed.joints).numpy()
    away = torch.tensor([0.3, -0.2, 2.0])
    matrix = np.zeros((count, 3, 3))
    matrix[:, (0, 1), (0, 1)], matrix[:, :2, 2], matrix[:, 2, 2] = FOCAL, camera.center.numpy(), 1
    world = np.tile(np.eye(4), (count, 1, 1))
    world[:, :3, 3] = away
    labels = folder / "labels.npz"
    np.savez(
        labels,
        imgname=[names[image] for image in IMAGE],
        center=np.full((count, 2), 100.0),
        scale=np.full(count, 1.0),
        pose_cam=rotation.log(bodies.pose).reshape(count, -1).numpy(),
        pose_world=np.zeros((count, 165)),
        shape=np.random.default_rng(0).standard_normal((count, 11)),
        trans_cam=(posed.joints[:, 0] - torch.tensor(REST_PELVIS_M["smplx"]) - away).numpy(),
        trans_world=np.zeros((count, 3)),
        gtkps=np.concatenate((pixels, np.zeros((count, 72, 2))), 1),
        cam_int=matrix,
        cam_ext=world,
        gender=["female", "male", "female", "male"],
        sub=["a", "b", "c", "d"],
    )
    return LabelledSet(labels, images, bodies, camera)


def _picture(
    body: SkinnedBody, bodies: Bodies, camera: Camera, rows: list[int], wall: tuple[int, int, int]
) -> np.ndarray:
    """People in their rest-pose colours before a wall, the nearest in front: (H, W, 3) uint8 RGB."""
    height, width = (int(side) for side in camera.size[rows[0]])
    vertices = pose_body(body, bodies[rows]).vertices
    found = rasterize(default_rasterizer(), vertices, body.faces, camera[rows], height, width)
    color = shade.interpolate(found, body.faces, body.vertex_colors.expand(len(rows), -1, -1))
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = wall
    depth, nearest = found.depth.min(0)
    chosen = color.gather(0, nearest[None, ..., None].expand(1, -1, -1, 3))[0].numpy()
    covered = depth.isfinite().numpy()
    picture[covered] = (255 * chosen[covered] + 0.5).astype(np.uint8)
    return picture


def stored(files: LabelledSet, name: str) -> np.ndarray:
    """One array of the labels."""
    with np.load(files.labels) as arrays:
        return arrays[name].copy()
