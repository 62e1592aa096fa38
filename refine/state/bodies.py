"""Bodies: pose, shape, expression and translation of people on one model.

Frames: `pose` is local to each joint's parent, the root's in the camera frame, or in the world's where the bodies'
camera has `camera_from_world`; `translation` is SMPL's `transl` in the same frame (the pelvis lies at J0(shape) +
translation). The batch axis B counts bodies, never images.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.batch import Index, in_one_line
from refine.check import check_shape


@dataclass(frozen=True, eq=False)
class Bodies:
    """B bodies of one model.

    Attributes:
        pose: (B, J, 3, 3) local rotations, the root's included.
        shape: (B, S) coefficients, unit variance.
        expression: (B, E) coefficients, E may be 0.
        translation: (B, 3) m, the frame of the root.

    Raises:
        InputError: The parts disagree on the number of bodies.
    """

    pose: Float[Tensor, "B J 3 3"]
    shape: Float[Tensor, "B S"]
    expression: Float[Tensor, "B E"]
    translation: Float[Tensor, "B 3"]

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        sizes = check_shape("bodies.pose", self.pose, "B J 3 3")
        check_shape("bodies.shape", self.shape, "B S", B=sizes["B"])
        check_shape("bodies.expression", self.expression, "B E", B=sizes["B"])
        check_shape("bodies.translation", self.translation, "B 3", B=sizes["B"])

    def __len__(self) -> int:
        return self.pose.shape[0]

    def __getitem__(self, index: Index) -> "Bodies":
        """Return some of the bodies, in the order of index."""
        return batch.rows(self, index)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Bodies":
        """Return the same bodies on another device or in another floating-point type."""
        parts = (self.pose, self.shape, self.expression, self.translation)
        return Bodies(*(part.to(device=device, dtype=dtype) for part in parts))
