"""A state: bodies and their cameras, everything that a step changes.

retract:  pose <- pose exp(step),  shape <- shape + step,  translation <- translation + step,  focal <- focal exp(step),
          constants <- constants + step
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine import batch
from refine.batch import Index, in_one_line
from refine.check import check_shape
from refine.errors import InputError
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state.bodies import Bodies
from refine.state.unknowns import Unknowns


@dataclass(frozen=True, eq=False)
class State:
    """B bodies and one camera each: everything that a step changes.

    Attributes:
        bodies: B bodies.
        camera: One for each.
        constants: (B, M) numbers that terms leave open (`Unknowns.constants`), in the terms' own units; None: none.
    """

    bodies: Bodies
    camera: Camera
    constants: Float[Tensor, "B M"] | None = None

    __repr__ = in_one_line

    def __len__(self) -> int:
        return len(self.bodies)

    def __getitem__(self, index: Index) -> "State":
        """Return some of the bodies with their cameras, in the order of index."""
        return batch.rows(self, index)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "State":
        """Return the same state on another device or in another floating-point type."""
        constants = None if self.constants is None else self.constants.to(device, dtype)
        return State(self.bodies.to(device, dtype), self.camera.to(device, dtype), constants)

    def retract(self, unknowns: Unknowns, step: Float[Tensor, "B P"]) -> "State":
        """Return the state after a step along the free columns.

        Args:
            unknowns: Which columns exist.
            step: (B, P) rad for joints, m for the translation, the terms' units for constants, unitless else.

        Returns:
            The new state; rotations stay rotations to rounding.

        Raises:
            InputError: The step has another width than the unknowns.
        """
        check_shape("step", step, "B P", B=len(self), P=unknowns.size)
        bodies, camera = self.bodies, self.camera
        pose, shape, expression, translation = bodies.pose, bodies.shape, bodies.expression, bodies.translation
        if unknowns.joints:
            joints = torch.tensor(unknowns.joints, device=pose.device)
            turn = rotation.exp(step[:, unknowns.pose_columns].reshape(len(self), -1, 3))
            pose = pose.index_copy(1, joints, pose[:, joints] @ turn)
        if unknowns.shape:
            shape = torch.cat(
                (shape[:, : unknowns.shape] + step[:, unknowns.shape_columns], shape[:, unknowns.shape :]), 1
            )
        if unknowns.expression:
            free = expression[:, : unknowns.expression] + step[:, unknowns.expression_columns]
            expression = torch.cat((free, expression[:, unknowns.expression :]), 1)
        if unknowns.translation:
            translation = translation + step[:, unknowns.translation_columns]
        if unknowns.focal:
            camera = replace(camera, focal=camera.focal * step[:, unknowns.focal_column].exp())
        constants = self.constants
        if unknowns.constants:
            if constants is None:
                advice = "They are added where they are needed: leave Unknowns.constants at 0 in a fit."
                raise InputError("state.constants", f"{unknowns.constants} numbers a body", "none", advice)
            check_shape("state.constants", constants, "B M", B=len(self), M=unknowns.constants)
            constants = constants + step[:, unknowns.constant_columns]
        bodies = replace(bodies, pose=pose, shape=shape, expression=expression, translation=translation)
        return State(bodies, camera, constants)


def choose(take: Tensor, first: State, second: State) -> State:
    """Return, body by body, the first state where `take (B,)` is true and the second elsewhere."""
    return batch.where(take, first, second)
