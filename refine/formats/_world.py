"""A second, world-frame copy of a track kept in step with its refined camera-frame copy.

    W = root_world root_camera^T,   root_world' = W root_camera',   T_world' = T_world + W (pelvis' - pelvis)

W turns the camera's frame into the world's in that frame of the video, as the two stored copies of the same body say.

Source: derived here.
"""

from jaxtyping import Float
from torch import Tensor


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
