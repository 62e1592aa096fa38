"""Tensors of an output and its batch: read with a check of their shape, and renewed where a body changed.

Read: float32 on the CPU, detached. Renewed: the stored tensor's shape, dtype and device; rows and joints that did not
change keep their bits.

Source: Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019 (six numbers: the first
two columns).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine.errors import InputError
from refine.estimate import Estimate
from refine.geometry import rotation

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What nearly every regressor's input is normalised with."""


def tensor(where: str, values: object, name: str, *shape: int | None, advice: str = "") -> Tensor:
    """Return one entry of an output or batch.

    Args:
        where: The regressor's name, for the message.
        values: A mapping.
        name: The entry's name.
        *shape: What its shape must be; None stands for any size. Nothing: any shape.
        advice: What to do where it is missing.

    Raises:
        InputError: It is missing, no tensor or array of numbers, of another shape, or not finite.
    """
    if not isinstance(values, Mapping) or values.get(name) is None:
        got = ", ".join(map(str, values)) or "nothing" if isinstance(values, Mapping) else type(values).__name__
        raise InputError(f"{where}: {name}", "a tensor", f"none among {got}", advice)
    return plain(where, values[name], name, *shape, advice=advice)


def plain(where: str, value: object, name: str, *shape: int | None, advice: str = "") -> Tensor:
    """Return a tensor, array or number as a float32 tensor on the CPU; arguments as for `tensor`.

    Raises:
        InputError: It is no tensor of finite numbers, or of another shape.
    """
    try:
        found = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value, np.float64))
        found = found.detach().to("cpu", torch.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {name}", "a tensor of numbers", type(value).__name__, advice) from error
    if shape and not (
        found.dim() == len(shape) and all(w in (None, n) for w, n in zip(shape, found.shape, strict=True))
    ):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise InputError(f"{where}: {name}", f"shape ({wanted})", f"shape {tuple(found.shape)}", advice)
    if not bool(found.isfinite().all()):
        bad = int((~found.isfinite()).sum())
        raise InputError(
            f"{where}: {name}", "finite values", f"{bad} NaN or infinite value(s)", "The regressor failed."
        )
    return found


def matrices(where: str, value: object, name: str, count: int, joints: int | None = None) -> Float[Tensor, "B n 3 3"]:
    """Return rotations from matrices (B, n, 3, 3), (B, n, 9) or, where `joints` is known, axis-angle (B, 3 n).

    Raises:
        InputError: The numbers are not those of so many rotations.
    """
    found = plain(where, value, name)
    if joints is not None and found.numel() == 3 * joints * count:
        return rotation.exp(found.reshape(count, joints, 3))
    if count == 0 or found.numel() % (9 * count) or joints not in (None, found.numel() // (9 * count)):
        wanted = f"{'n' if joints is None else joints} rotations of {count} bodies"
        raise InputError(f"{where}: {name}", wanted, f"shape {tuple(found.shape)}")
    return found.reshape(count, -1, 3, 3)


def rows_of(where: str, values: object, name: str, count: int, width: int, advice: str = "") -> Tensor:
    """Return one entry of a mapping as (B, width) numbers; one row, or one for all bodies, is repeated.

    Args:
        where: The regressor's name, for the message.
        values: An output or batch.
        name: The entry's name.
        count: Number of bodies B.
        width: Numbers a body.
        advice: What to do where it is missing.

    Raises:
        InputError: It is missing, no numbers, or other numbers of them.
    """
    found = tensor(where, values, name, advice=advice)
    if found.numel() == width:
        return found.reshape(1, width).expand(count, width)
    if found.numel() != count * width:
        raise InputError(f"{where}: {name}", f"shape ({count}, {width})", f"shape {tuple(found.shape)}", advice)
    return found.reshape(count, width)


def images_of(where: str, batch: Mapping[str, Any], count: int) -> Int[Tensor, "B"]:
    """Return which photo each body is in (B,): the batch's `image_index`, else all in the first."""
    if batch.get("image_index") is None:
        return torch.zeros(count, dtype=torch.long)
    return rows_of(where, batch, "image_index", count, 1)[:, 0].round().long()


def put_rows(changed: Bool[Tensor, "B"], fresh: Tensor, stored: Tensor) -> Tensor:
    """Return new rows where a body changed, the stored ones elsewhere."""
    rows = changed.to(stored.device).reshape(-1, *[1] * (stored.dim() - 1))
    return torch.where(rows, fresh.reshape(stored.shape).to(stored), stored.detach())


def put_rotations(stored: Tensor, before: Float[Tensor, "B n 3 3"], after: Float[Tensor, "B n 3 3"]) -> Tensor:
    """Return a part of a pose with its turned joints renewed: matrices, six numbers or axis-angle, as it was.

    Args:
        stored: The part as the output has it, any shape.
        before: (B, n, 3, 3) its rotations as they were read.
        after: (B, n, 3, 3) the refined ones.
    """
    count, joints = before.shape[:2]
    flat = stored.detach().reshape(count, joints, -1)
    turned = (after != before).flatten(2).any(2)[..., None].to(flat.device)  # (B, n, 1)
    fresh = {9: after, 6: after[..., :2]}.get(flat.shape[2])
    fresh = rotation.log(after) if fresh is None else fresh
    return torch.where(turned, fresh.reshape(flat.shape).to(flat), flat).reshape(stored.shape)


def put_shape(refined: Estimate, changed: Bool[Tensor, "B"], stored: Tensor, *, expression: bool = False) -> Tensor:
    """Return shape coefficients (or expressions) renewed on a body of the regressor's family, else as they were."""
    if refined.body.model != refined.source.model:
        return stored.detach()
    fresh = refined.bodies.expression if expression else refined.bodies.shape
    rows = stored.detach().clone().reshape(len(changed), -1)
    width = min(rows.shape[1], fresh.shape[1])
    rows[:, :width] = put_rows(changed, fresh[:, :width], rows[:, :width])
    return rows.reshape(stored.shape)


def unnormalised(
    batch: Mapping[str, Any],
    name: str = "img",
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> tuple[np.ndarray, ...]:
    """Return what a network was shown, (h, w, 3) uint8 RGB each, from its normalised input (B, 3, h, w).

    Args:
        batch: What the model was called with.
        name: The input's name.
        mean: Taken from each channel of pictures in 0..1.
        std: Divided by afterwards.

    Raises:
        InputError: There is no such input.
    """
    shown = plain("batch", batch.get(name), name, None, 3, None, None, advice="Give attach the photos: images=...")
    picture = (shown * shown.new_tensor(std)[:, None, None] + shown.new_tensor(mean)[:, None, None]).clamp(0, 1)
    bytes_ = (255 * picture + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return tuple(one.numpy() for one in bytes_)
