"""The one place that knows this regressor's camera: its numbers as an estimate, and a refined estimate as its numbers.

    u = S/2 (s (X + tx) + 1)        full perspective with f = 2 S, c = (S/2, S/2):  T = (tx, ty, 2 f / (S s))

in a square picture of S px.
"""

import torch
from torch import Tensor

import refine
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.geometry.weak_perspective import from_box, from_perspective
from refine.transfer import refined_source, to_body, with_camera

FOCAL_PER_SIDE = 2.0


def camera(count: int, side: float) -> Camera:
    """Return the cameras of `count` people in pictures of `side` px."""
    size = torch.full((count, 2), float(side))
    return Camera(FOCAL_PER_SIDE * size, size / 2, size)


def to_estimate(
    name: str, pose: Tensor, betas: Tensor, weak: Tensor, side: float, body: object = None, **said: object
) -> refine.Estimate:
    """Return an estimate of B people, one picture each; `said`: further things for the source."""
    count, lens = len(pose), camera(len(pose), side)
    seen = from_box(weak, lens.center, lens.size[:, 0])
    source = refine.Source(
        format=name,
        model="smpl",
        pose=rotation.exp(pose.reshape(count, 24, 3)),
        betas=betas,
        expression=torch.zeros(count, 0),
        translation=seen.to_translation(lens),
        focal_rule=f"{FOCAL_PER_SIDE * side:.0f} px, twice the picture's side (tiny)",
        **said,  # type: ignore[arg-type]
    )
    return to_body(source, lens, body, torch.arange(count))  # type: ignore[arg-type]


def from_estimate(refined: refine.Estimate, pose: Tensor, weak: Tensor) -> tuple[Tensor, Tensor]:
    """Return pose (B, 72) and camera (B, 3) with refined numbers; bodies and joints that did not change keep theirs."""
    lens = camera(len(refined), float(refined.camera.size[0, 0]))
    back = refined_source(with_camera(refined, lens))
    turned = (back.pose != refined.source.pose).flatten(2).any(2)[..., None]  # (B, 24, 1)
    fresh = torch.where(turned, rotation.log(back.pose), pose.reshape(-1, 24, 3)).reshape(pose.shape)
    seen = from_perspective(back.translation, lens).in_box(lens.center, lens.size[:, 0])
    return fresh, torch.where(back.changed[:, None], seen, weak)
