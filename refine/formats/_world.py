"""The world of a track: where its camera stands in it, and a world-frame copy kept in step with the refined one.

    W = root_world root_camera^T,   root_world' = W root_camera',   T_world' = T_world + W (pelvis' - pelvis)
    camera_from_world = [W^T | pelvis_camera - W^T pelvis_world]

W turns the camera's frame into the world's in that frame of the video, as the two stored copies of the same body say.

Source: derived here.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.estimate import Source

ROTATION_ERROR = 1e-3
"""A rotation's entries may be off by this: what a file rounds."""
AGREES_M = 0.01
"""The two copies of a root may lie this far apart and still be the same person's."""


def knowing(source: Source, camera_from_world: Float[Tensor, "B 3 4"] | None) -> Source:
    """Return a source that knows where its cameras stand in a world.

    Args:
        source: B bodies.
        camera_from_world: (B, 3, 4) m, or None. It is left out where it is no rotation and translation of some body
            that has numbers itself.
    """
    if camera_from_world is None:
        return source
    still = torch.eye(3, 4, dtype=camera_from_world.dtype)
    lost = ~source.pose.isfinite().flatten(1).all(1)
    if source.translation is not None:
        lost |= ~source.translation.isfinite().all(1)
    world = torch.where(lost[:, None, None], still, camera_from_world)
    turn = world[:, :, :3].double()
    error = (turn @ turn.mT - torch.eye(3, dtype=torch.float64)).abs().flatten(1).amax(1)
    good = (error < ROTATION_ERROR) & world.isfinite().flatten(1).all(1)
    return replace(source, camera_from_world=world.to(source.pose)) if bool(good.all()) else source


def from_copies(
    root_camera: Float[Tensor, "B 3 3"],
    pelvis_camera: Float[Tensor, "B 3"],
    root_world: Float[Tensor, "B 3 3"],
    pelvis_world: Float[Tensor, "B 3"],
) -> Float[Tensor, "B 3 4"]:
    """Return the camera's place in the world, by the two stored copies of the same root.

    Args:
        root_camera: (B, 3, 3) the root's rotation in the camera.
        pelvis_camera: (B, 3) m.
        root_world: (B, 3, 3) the same in the world.
        pelvis_world: (B, 3) m.
    """
    turn = root_camera.double() @ root_world.double().mT
    shift = pelvis_camera.double() - (turn @ pelvis_world.double()[..., None])[..., 0]
    return torch.cat((turn, shift[..., None]), 2)


def moved_along(
    world: Float[Tensor, "B 3 3"],
    before: Float[Tensor, "B 3 3"],
    after: Float[Tensor, "B 3 3"],
    moved: Float[Tensor, "B 3"],
) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3"]]:
    """Return what the refinement of a body in the camera's frame means in the world's.

    Args:
        world: (B, 3, 3) the root's rotation in the world.
        before: (B, 3, 3) the same in the camera, as it was stored.
        after: (B, 3, 3) the same refined.
        moved: (B, 3) m, by how much the pelvis moved in the camera's frame.

    Returns:
        The root's new rotation (B, 3, 3) and the movement (B, 3) m in the world.
    """
    turn = world @ before.mT
    return turn @ after, (turn @ moved[..., None])[..., 0]
