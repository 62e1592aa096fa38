"""Rows filled in where a track has none: between two rows of a person, at each frame in between.

    pose = R_before exp(s log(R_beforeᵀ R_after)),   translation, shape and focal length likewise,   s from 0 to 1

They are where a search starts, and no evidence: priors around the estimate do not know them (`observed`).
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine import batch
from refine.estimate import Estimate
from refine.geometry import rotation
from refine.state import State


def filled(
    estimate: Estimate,
    before: Int[Tensor, "G"],
    after: Int[Tensor, "G"],
    part: Float[Tensor, "G"],
    frame: Int[Tensor, "G"],
) -> Estimate:
    """Return an estimate with rows between its own appended.

    Args:
        estimate: B bodies.
        before: (G,) of each new row the row before it.
        after: (G,) the row after it.
        part: (G,) how far it is from one to the other, 0..1.
        frame: (G,) the image it is in.

    Returns:
        B + G bodies, the first B as they came; the source of a new row is that of the row before it.
    """
    if not len(before):
        return estimate
    one, other = estimate.state[before], estimate.state[after]
    share = part.to(one.bodies.pose)
    step = share[:, None, None] * rotation.log(one.bodies.pose.mT @ other.bodies.pose)

    def between(first: Tensor, second: Tensor) -> Tensor:
        return first + share.reshape(-1, *[1] * (first.dim() - 1)) * (second - first)

    bodies = replace(
        one.bodies,
        pose=one.bodies.pose @ rotation.exp(step),
        translation=between(one.bodies.translation, other.bodies.translation),
        shape=between(one.bodies.shape, other.bodies.shape),
    )
    camera = replace(one.camera, focal=between(one.camera.focal, other.camera.focal))
    known = {int(image): row for row, image in enumerate(estimate.image_index.tolist())}
    seen = [known.get(int(image), int(row)) for image, row in zip(frame.tolist(), before.tolist(), strict=True)]
    if camera.camera_from_world is not None:  # another person's camera of that frame, else that of the frame before
        camera = replace(camera, camera_from_world=estimate.camera[torch.tensor(seen)].camera_from_world)
    fresh = replace(estimate.rows(before), state=State(bodies, camera), image_index=frame.to(estimate.image_index))
    return replace(batch.cat([estimate, fresh]), notes=estimate.notes)
