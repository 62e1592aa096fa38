"""A person of the built-in body before a camera, with a disturbed estimate and exact keypoints: the smallest whole
case."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from refine.body import SkinnedBody
from refine.estimate import Estimate, Source
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.keypoints.detections import Detections
from refine.state import Bodies, State

HEIGHT, WIDTH = 480, 400


@dataclass(frozen=True)
class Case:
    """`photos` of grey, the `true` people, the disturbed `estimate`, exact `detections` of the true people."""

    photos: list[np.ndarray]
    true: Estimate
    estimate: Estimate
    detections: Detections


def case(body: SkinnedBody, count: int = 2, seed: int = 0, angle: float = 0.2, name: str = "body25") -> Case:
    """`count` people, one a photo, facing the camera four metres away with bent limbs; estimates disturbed by `angle`
    rad."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    bodies = body.rest_bodies(count)
    step = torch.zeros(count, len(body.joint_names), 3)
    step[:, 1:22] = 0.15 * normal(count, 21, 3)
    pose = bodies.pose @ rotation.exp(step)
    pose[:, 0] = rotation.exp(torch.tensor([torch.pi, 0.0, 0.0]))  # y up turned to y down
    where = torch.tensor([0.0, 0.1, 4.0]) + 0.05 * normal(count, 3)
    true = State(Bodies(pose, 0.5 * normal(count, bodies.shape.shape[1]), bodies.expression, where), camera(count))
    error = torch.zeros(count, len(body.joint_names), 3)
    error[:, :22] = angle * normal(count, 22, 3)
    disturbed = replace(
        true.bodies, pose=true.bodies.pose @ rotation.exp(error), translation=where + 0.02 * normal(count, 3)
    )
    source = Source("memory", body.model, disturbed.pose, disturbed.shape, disturbed.expression, disturbed.translation)
    index = torch.arange(count)
    right = Estimate(body, true, index, source)
    wrong = Estimate(body, State(disturbed, true.camera), index, source)
    pixel = right.keypoints_2d(name)
    photos = [np.full((HEIGHT, WIDTH, 3), 120, np.uint8) for _ in range(count)]
    return Case(photos, right, wrong, Detections(name, pixel, torch.ones(pixel.shape[:2])))


def camera(count: int) -> Camera:
    """A camera of 36 mm equivalent, principal point in the middle."""
    focal, center = torch.full((count, 2), 480.0), torch.tensor([WIDTH / 2, HEIGHT / 2]).repeat(count, 1)
    return Camera(focal, center, torch.tensor([float(HEIGHT), float(WIDTH)]).repeat(count, 1))
