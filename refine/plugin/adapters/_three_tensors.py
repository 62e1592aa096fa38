"""Regressors that return rotations, betas and a crop camera and nothing else (SPIN, CLIFF): read and put back.

Source: nkolot/SPIN@2476c43601 `models/hmr.py` lines 150-152; haofanwang/CLIFF@f38cad87cb `models/cliff_hr48/cliff.py`
line 105.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.geometry.camera import Camera
from refine.plugin.adapters._crops import Crops, fresh_of, placed, whole_picture
from refine.plugin.adapters._tensors import matrices, plain, put_rotations, put_rows, put_shape, rows_of

Three = Sequence[Tensor]
"""Rotations (B, 24, 3, 3), betas (B, 10), crop camera (B, 3)."""

ADVICE = (
    "Put where each person was cut out into the batch: box_center, box_size (200 · scale) and img_size (height, width)."
)


def people(output: Three) -> int:
    """Return how many bodies an output holds."""
    return len(output[2])


def estimate(
    name: str,
    output: Three,
    batch: Mapping[str, Any],
    *,
    focal_px: Callable[[Tensor], Tensor],
    rule: str,
    body: SkinnedBody | None = None,
) -> Estimate:
    """Turn the three tensors into an estimate.

    Args:
        name: The regressor's.
        output: Rotations (B, 24, 3, 3), betas (B, 10), crop camera (B, 3).
        batch: `box_center` (B, 2) px, `box_size` (B,) px (200 · scale) and `img_size` (B, 2) or (2,), height and width
            in px; of SPIN, where there are no boxes, `img` (B, 3, S, S). Optional: `image_index` (B,).
        focal_px: Returns focal lengths (B,) px of photos of size (B, 2), height and width.
        rule: The same in words.
        body: The model to put the estimate on.

    Raises:
        InputError: A tensor is missing, of another shape or not finite.
    """
    if len(output) != 3:
        raise InputError(f"{name}: output", "three tensors: rotations, betas, camera", f"{len(output)}")
    weak = plain(name, output[2], "pred_camera", None, 3)
    count = len(weak)
    if "box_center" in batch or name != "spin":
        size = rows_of(name, batch, "img_size", count, 2, ADVICE)
        focal = focal_px(size)[:, None].expand(-1, 2)
        center = rows_of(name, batch, "box_center", count, 2, ADVICE)
        side = rows_of(name, batch, "box_size", count, 1, ADVICE)[:, 0]
        crops = Crops(center, side, Camera(focal, size.flip(-1) / 2, size))
    else:
        crops = whole_picture(name, batch, float(focal_px(torch.ones(1, 2))), count)
        batch = {"image_index": torch.arange(count), **batch}  # every crop is a photo of its own
    source = Source(
        format=name,
        model="smpl",
        pose=matrices(name, output[0], "pred_rotmat", count, 24),
        betas=plain(name, output[1], "pred_betas", count, None),
        expression=torch.zeros(count, 0),
        focal_rule=rule,
    )
    return placed(source, weak, crops, batch, body)


def refined_output(output: Three, refined: Estimate, *, model: nn.Module | None = None) -> tuple[Tensor, ...]:
    """Return the three with refined rotations and camera (betas on SMPL's own file only)."""
    fresh = fresh_of(refined)
    if not bool(fresh.changed.any()):
        return tuple(output)
    return (
        put_rotations(output[0], refined.source.pose, fresh.back.pose),
        put_shape(refined, fresh.changed, output[1]),
        put_rows(fresh.changed, fresh.weak, output[2]),
    )
