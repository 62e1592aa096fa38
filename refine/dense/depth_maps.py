"""Builds the term of depth maps: a grid over each body, what the map says there, its sigmas and its witnesses.

    root² = min(1, (pixels of the map between the grid's)² / correlation.pixels²)

Ten thousand pixels of a network's map are some twenty witnesses: its errors are alike over a limb. How far is therefore
an argument without a default.

Source: Bayley and Hammersley, Suppl. J. R. Stat. Soc. 8(2), 1946 (effective number of observations).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_type
from refine.dense.depth_map import DepthMap, Space
from refine.errors import InputError
from refine.estimate import Estimate
from refine.terms import GemanMcClure
from refine.terms.correlation import Correlation

GRID = 24
"""Pixels of the grid each way."""
MARGIN = 1.25
"""The grid's side by that of the square around the joints."""
CATCH_M, LEAST_SCALE = 0.15, 3.0
"""Scale of the robust kernel, m, but at least so many standard deviations."""
EDGE_M = 0.3
"""Neighbouring pixels of a metric map that differ by more are an edge, whose depth is neither side's."""
FARTHEST_M = 200.0
"""A metric map whose median is larger is not in metres."""


def depth_map(
    maps: Sequence[Float[Tensor, "H W"] | np.ndarray | None],
    estimate: Estimate,
    *,
    correlation: Correlation,
    sigma_m: float = 0.05,
    space: Space = "depth",
    affine: bool = False,
) -> DepthMap:
    """Build the term from one map a body; bodies of one photo may share theirs.

    Args:
        maps: B maps (H, W) of the whole photo, of its size or one of the same shape: m, 1/m, or any unit where
            `affine`. Not finite, zero or negative (metric): nothing is known there. None: nothing is known of the body.
        estimate: B bodies and their cameras.
        correlation: How far the errors hang together; `pixels` in px of the photo.
        sigma_m: Standard deviation of a pixel, m at the body; of inverse depth it is taken at the estimate's distance.
        space: What the map is linear in: "depth", or "inverse" (MiDaS, Depth Anything).
        affine: Whether scale and shift are unknown.

    Raises:
        InputError: A map has another shape than the photo, is in millimetres, or a number is out of range.
    """
    check_type("correlation", correlation, Correlation, "Correlation(pixels=40)")
    if len(maps) != len(estimate):
        raise InputError("maps", f"{len(estimate)}, one a body", str(len(maps)))
    if not 0 < sigma_m < float("inf"):
        raise InputError("sigma_m", "a number above zero, m", repr(sigma_m))
    state = estimate.state
    like, camera = state.bodies.translation, state.camera
    joints = estimate.joints.detach()
    pixel = camera.project(joints)
    low, high = pixel.amin(1), pixel.amax(1)  # (B, 2) px
    side = MARGIN * (high - low).amax(1).clamp(min=1.0)
    start = (low + high) / 2 - side[:, None] / 2
    scale = GRID / side
    affinity = torch.zeros(len(estimate), 2, 3).to(like)
    affinity[:, 0, 0], affinity[:, 1, 1] = scale, scale
    affinity[:, :, 2] = -start * scale[:, None]
    far = camera.transform(joints)[..., 2].median(1).values.clamp(min=0.1)  # (B,) m
    values = like.new_zeros(len(estimate), GRID, GRID)
    inverse = torch.zeros_like(values)
    for row, given in enumerate(maps):
        if given is None:
            continue
        found = _sampled(f"maps[{row}]", given, camera.size[row].tolist(), start[row], side[row], space, affine)
        values[row] = found[0].to(like)
        sigma = sigma_m if space == "depth" else sigma_m / far[row].square()
        inverse[row] = found[1].to(like) / sigma
    step = side / GRID
    root = (step / correlation.pixels).clamp(max=1.0)
    kernel = GemanMcClure(scale=max(LEAST_SCALE, CATCH_M / sigma_m))
    return DepthMap(values, inverse, affinity, root, space, affine, kernel, correlation=correlation)


def _sampled(
    name: str, given: object, size: list[float], start: Tensor, side: Tensor, space: Space, affine: bool
) -> tuple[Tensor, Tensor]:
    """Return the map at the grid's pixels, and where it is known, (GRID, GRID) each."""
    depth = torch.as_tensor(np.asarray(given) if not isinstance(given, Tensor) else given).detach().cpu().double()
    if depth.dim() == 3 and 1 in (depth.shape[0], depth.shape[2]):
        depth = depth.squeeze(0 if depth.shape[0] == 1 else 2)
    if depth.dim() != 2 or not depth.numel():
        raise InputError(name, "a map (H, W)", f"shape {tuple(depth.shape)}")
    ratio_y, ratio_x = depth.shape[0] / size[0], depth.shape[1] / size[1]
    if abs(ratio_x / ratio_y - 1) > 0.02:
        raise InputError(
            name, f"a map of the photo, {size[0]:g} x {size[1]:g} or as wide by height",
            f"{depth.shape[0]} x {depth.shape[1]}", "Undo the padding or crop it was made with.",
        )  # fmt: skip
    known = depth.isfinite() & ((depth > 0) | torch.tensor(affine))
    if not affine and space == "depth" and bool(known.any()):
        middle = float(depth[known].median())
        if middle > FARTHEST_M:
            raise InputError(name, "metres", f"a median of {middle:.4g}", "Divide millimetres by 1000.")
    center = (torch.arange(GRID) + 0.5) / GRID
    across = (start[0].cpu() + side.cpu() * center) * ratio_x
    down = (start[1].cpu() + side.cpu() * center) * ratio_y
    x, y = across.floor().long(), down.floor().long()
    inside = ((y >= 0) & (y < depth.shape[0]))[:, None] & ((x >= 0) & (x < depth.shape[1]))[None]
    y, x = y.clamp(0, depth.shape[0] - 1), x.clamp(0, depth.shape[1] - 1)
    value, there = depth[y][:, x], known[y][:, x] & inside
    if not affine and space == "depth":
        next_y, next_x = (y + 1).clamp(max=depth.shape[0] - 1), (x + 1).clamp(max=depth.shape[1] - 1)
        for other in (depth[next_y][:, x], depth[y][:, next_x]):
            there &= ~((other - value).abs() > EDGE_M)
    return torch.where(there, value, 0.0), there
