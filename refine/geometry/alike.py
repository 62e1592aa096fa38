"""Cameras of several sources made alike, so that their rows can be put together."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from refine.geometry.camera import Camera


def alike(cameras: Sequence[Camera]) -> list[Camera]:
    """Return cameras that all have the optional parts that one of them has, so that they can be put together.

    Args:
        cameras: Cameras of any numbers of bodies. A missing distortion becomes zero, a missing `camera_from_world` the
            identity; coefficients are filled with zeros to the largest number.
    """
    bent = max((one.distortion.shape[1] for one in cameras if one.distortion is not None), default=0)
    placed = any(one.camera_from_world is not None for one in cameras)
    found = []
    for one in cameras:
        lens = one.focal.new_zeros(len(one), bent) if one.distortion is None else one.distortion
        lens = torch.nn.functional.pad(lens, (0, bent - lens.shape[1]))
        still = torch.eye(3, 4, dtype=one.focal.dtype, device=one.focal.device).expand(len(one), 3, 4)
        world = one.camera_from_world if one.camera_from_world is not None or not placed else still
        found.append(replace(one, camera_from_world=world, distortion=lens if bent else None))
    return found
