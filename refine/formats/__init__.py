"""Regressors' files, one file one format: read as an `Estimate`, and written back in the regressor's own layout.

A format is a module of this folder (or of an entry point in the group `refine.formats`) with the three functions of
`Format`, which says their arguments once for all; its file name is the format's name. It states its camera habits in
its docstring and converts them there and nowhere else.

Three constants, false where a module does not have them, say what a file knows about time:

    OVER_TIME     `persons` are the same people from frame to frame: their tracks are solved as such
    ONE_PERSON    a file is one person's track, and `persons` is empty
    ONE_FRAME     a file is one frame, and the files beside it are the others
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.geometry.camera import Camera

__all__ = ["Format", "Sizes"]

Sizes = Float[Tensor, "I 2"] | None
"""(I, 2) px, height and width of the photos by image index, or of one photo for all; None: not known."""


@runtime_checkable
class Format(Protocol):
    """What a module must offer to be a format."""

    def recognises(self, path: Path) -> bool:
        """Say whether a file is of this format, from its content and not from its name.

        Raises:
            InputError: The file is of this family and broken or hostile.
        """
        ...

    def read(
        self, path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None
    ) -> Estimate:
        """Read a file.

        Args:
            path: The file.
            body: The model to put the estimate on; None: the source's own where its file is found, else the built-in
                body.
            camera: One camera, or one a body, that replaces the file's; the bodies' places in the photo stay. It tells
                the photo's size where `sizes` does not.
            sizes: (I, 2) px; only looked at where the file does not know them and its camera depends on them.

        Returns:
            All people of the file, in its order, in the photo's camera frame: m, px.

        Raises:
            InputError: The file is not of this format, its numbers are not usable, or it holds no camera and none is
                given.
        """
        ...

    def write(self, refined: Estimate, path: Path) -> None:
        """Write `refined` in the layout of `refined.source`: same keys, shapes, dtypes and units, unknown keys kept.

        Where nothing was refined, what is written equals what was read.

        Args:
            refined: An estimate that this format read, after refinement or as it was.
            path: Where to; an existing file is replaced, whole or not at all.

        Raises:
            InputError: `refined.source` is not of this format.
        """
        ...
