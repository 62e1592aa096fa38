"""Estimates of known strength for the sampler: row i of a batch has strength i modulo their number.

Source: the strengths are `refine.evaluate.disturbance`'s.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from refine import batch
from refine.body import SkinnedBody, pose_body
from refine.errors import InputError
from refine.evaluate.disturbance import PA_MPJPE_MM, disturb
from refine.state import State

STRENGTHS = tuple(PA_MPJPE_MM)
"""weak, medium, strong, near, perfect."""


@dataclass(frozen=True)
class InTurn:
    """Makes estimates of several strengths in turn.

    Attributes:
        strengths: Their names, one or more.

    Raises:
        InputError: There is none, or one is unknown.
    """

    strengths: tuple[str, ...] = STRENGTHS
    known_shapes: int | None = None
    """Shape coefficients that are disturbed, the first ones; others stay true. None: all."""

    def __post_init__(self) -> None:
        if not self.strengths or not set(self.strengths) <= set(STRENGTHS):
            raise InputError("strengths", f"some of {', '.join(STRENGTHS)}", ", ".join(self.strengths) or "none")

    def of_rows(self, count: int) -> np.ndarray:
        """Return (B,) which strength each row of a batch has, an index into `strengths`."""
        return np.arange(count) % len(self.strengths)

    def __call__(self, body: SkinnedBody, true: State, rng: np.random.Generator) -> State:
        """Disturb B true bodies.

        Args:
            body: The model.
            true: B bodies in the camera frame, with their cameras.
            rng: Draws one seed a body.
        """
        seeds, strength = rng.integers(2**31, size=len(true)), self.of_rows(len(true))
        rows = [np.flatnonzero(strength == index) for index in range(len(self.strengths))]
        parts = [
            disturb(body, true[torch.from_numpy(own)], name, seeds[own].tolist())
            for name, own in zip(self.strengths, rows, strict=True)
            if len(own)
        ]
        back = torch.from_numpy(np.concatenate(rows).argsort())
        return self._restored(body, batch.cat(parts)[back], true)

    def _restored(self, body: SkinnedBody, estimate: State, true: State) -> State:
        """Put back the shape coefficients that nobody estimates; the pelvis stays where it is."""
        known = self.known_shapes
        if known is None or known >= body.shape_basis.shape[2]:
            return estimate
        bodies = estimate.bodies
        shape = torch.cat((bodies.shape[:, :known], true.bodies.shape[:, known:]), 1)
        other = replace(bodies, shape=shape)
        moved = pose_body(body, bodies).joints[:, 0] - pose_body(body, other).joints[:, 0]
        return State(replace(other, translation=other.translation + moved), estimate.camera)
