"""Regressors' outputs in memory, one file a system: made an `Estimate`, and refined tensors put back.

    estimate(output, batch)            what the model returned, and what it was called with -> Estimate
    refined_output(output, refined)    the same keys, shapes, dtypes and device with refined numbers

A regressor is a module of this folder (or of an entry point in the group `refine.regressors`); its file name is its
name. It states its camera in its docstring and converts it there and nowhere else. `batch` is a mapping: the mappings
the model was called with, merged, keyword arguments under their names, and a bare first tensor under "img"
(`refine.plugin.attachment`).
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

from refine.body import SkinnedBody
from refine.estimate import Estimate

__all__ = ["Regressor"]


@runtime_checkable
class Regressor(Protocol):
    """What a module must offer to be a regressor's adapter.

    A module may also offer `pictures(batch) -> tuple[ndarray (h, w, 3) uint8, ...]`: what the network was shown,
    without its normalisation, one picture a body or one for all; `source.arrays["box"]` (B, 4), left, top, width,
    height in px, says where in the photo it lies.
    """

    def people(self, output: Any) -> int:
        """Return how many bodies an output holds."""
        ...

    def estimate(self, output: Any, batch: Mapping[str, Any], *, body: SkinnedBody | None = None) -> Estimate:
        """Turn an output into an estimate.

        Args:
            output: What the model returned, untouched.
            batch: What it was called with.
            body: The model to put the estimate on; None: the regressor's own where its file is found, else the built-in
                body.

        Raises:
            InputError: A tensor is missing, of another shape or not finite; the message says which, and what to put
                into the batch.
        """
        ...

    def refined_output(self, output: Any, refined: Estimate, *, model: nn.Module | None = None) -> Any:
        """Put refined numbers into a copy of the output; the output itself is not changed.

        Args:
            output: What the model returned.
            refined: The estimate made of it, refined.
            model: The regressor itself: its own body layer makes vertices anew. None: they are left out of refined
                dictionaries, and `refine_note` says so.

        Returns:
            An output of the same type; bodies that did not change keep every number.
        """
        ...
