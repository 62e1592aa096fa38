"""Evidence over pixels in the harm benchmark: depth maps, alone or beside keypoints.

    depth       metric, sigma 50 mm, alike on 1/12 of the person's extent in the photo
    affine      inverse depth up to scale and shift, as a network for single images gives, sigma 50 mm at the person

The errors are smooth noise of that correlation length; background is a wall 1.5 m behind the person.

Source: Piccinelli et al., UniDepth, CVPR 2024 and Bhat et al., ZoeDepth, 2023 (absolute relative error of 5 % on indoor
photos, most of it one factor a photo; what is left within a person is of the order of 2 %: 50 mm at 2.5 m).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from refine.body import pose_body
from refine.dense.depth_maps import depth_map
from refine.estimate import Estimate
from refine.evaluate.harm.evidence import Evidence, generators
from refine.render import Fragments
from refine.render.rasterize import default_rasterizer, rasterize
from refine.terms import Term
from refine.terms.correlation import Correlation

DEPTH_M, BEHIND_M = 0.05, 1.5
ALIKE = 1 / 12
"""Correlation length of a map's errors by the person's extent in the photo: a forearm's length."""
MAP_PX = 320
"""Longer side of the maps."""


def metric(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return metric depth."""
    maps, alike = _maps(evidence)
    return (depth_map(maps, estimate, correlation=Correlation(pixels=alike), sigma_m=DEPTH_M),)


def affine(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return inverse depth up to scale and shift."""
    maps, alike = _maps(evidence)
    some = [3.0 / each + 0.7 for each in maps]
    correlation = Correlation(pixels=alike)
    return (depth_map(some, estimate, correlation=correlation, sigma_m=DEPTH_M, space="inverse", affine=True),)


IMAGE_SOURCES: Mapping[str, Callable[[Evidence, Estimate], tuple[Term, ...]]] = {"depth": metric, "affine": affine}
"""By name; "name+keypoints" has a detector's keypoints beside it."""


def rendered(evidence: Evidence) -> tuple[Fragments, Tensor]:
    """Return the people who are seen, in images of `MAP_PX`, and the pixels of those by pixels of the photos (B,)."""
    body, camera = evidence.scene.body, evidence.shown.camera
    vertices = pose_body(body, evidence.shown.bodies).vertices
    ratio = MAP_PX / camera.size.amax(1)
    resized = torch.zeros(len(vertices), 2, 3).to(vertices)
    resized[:, 0, 0], resized[:, 1, 1] = ratio, ratio
    small = camera.transformed(resized, camera.size * ratio[:, None])
    return rasterize(default_rasterizer(), vertices, body.faces, small, MAP_PX, MAP_PX), ratio


def _maps(evidence: Evidence) -> tuple[list[Tensor], float]:
    """Return a map a person, with errors, and their correlation length, px of the photo: the median person's."""
    shown, ratio = rendered(evidence)
    sizes = (evidence.shown.camera.size * ratio[:, None]).round().long().tolist()
    maps, lengths = [], []
    for row, generator in enumerate(generators(evidence, 83)):
        height, width = sizes[row]
        depth = shown.depth[row, :height, :width]
        seen = depth.isfinite()
        extent = float(seen.any(1).sum().maximum(seen.any(0).sum())) if bool(seen.any()) else float(height)
        length = max(1.0, extent * ALIKE)
        wall = float(depth[seen].mean()) + BEHIND_M if bool(seen.any()) else BEHIND_M
        depth = torch.where(seen, depth, wall)
        maps.append(depth + DEPTH_M * smooth(height, width, length, generator).to(depth))
        lengths.append(length / float(ratio[row]))
    return maps, float(torch.tensor(lengths).median())


def smooth(height: int, width: int, length: float, generator: torch.Generator) -> Tensor:
    """Return a field (H, W) of unit variance whose errors are alike over squares of a side, px."""
    cells = torch.randn(1, 1, int(height / length) + 3, int(width / length) + 3, generator=generator)
    shape = (int(cells.shape[2] * length) + 1, int(cells.shape[3] * length) + 1)
    field = torch.nn.functional.interpolate(cells, size=shape, mode="bicubic", align_corners=False)[0, 0]
    return field[:height, :width] / field.std()
