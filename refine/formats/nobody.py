"""A result in which nobody was found, of whatever system: no people, and the file written back byte for byte.

What counts as one: `refine.estimate.nobody`. There is nobody to place, so neither camera nor size is asked for.

Source: `refine.estimate.nobody`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.nobody import holds_nobody
from refine.files.atomic import write_bytes
from refine.formats import Sizes
from refine.formats._own_source import own_source
from refine.geometry.camera import Camera
from refine.state import State

NOTE = "Nobody is in this result."


def recognises(path: Path) -> bool:
    """Say whether a file holds nobody; other formats give empty files that have their names here."""
    return holds_nobody(path)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Return an estimate of nobody.

    Raises:
        InputError: Somebody is in the file, or it cannot be read.
    """
    path = Path(path)
    if not holds_nobody(path):
        raise InputError(str(path), "a result without people", "one that holds something", "Leave the format out.")
    return estimate_of_nobody(path, body)


def estimate_of_nobody(path: Path, body: SkinnedBody | None = None) -> Estimate:
    """Return the estimate of a file that its own format found to be without people.

    Args:
        path: The file.
        body: The model of the estimate; None: the built-in body.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    return _estimate(Source("nobody", "smpl", *_parts(), arrays={"file": data}, path=path), body)


def nobody_of(format: str, arrays: dict[str, object], body: SkinnedBody | None = None) -> Estimate:
    """Return an estimate of nobody that came from memory.

    Args:
        format: What it would have been.
        arrays: What was given.
        body: The model of the estimate; None: the built-in body.
    """
    return _estimate(Source(format, "smpl", *_parts(), arrays=arrays), body)


def write(refined: Estimate, path: Path) -> None:
    """Write the file as it was.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "nobody", "a file without people")
    write_bytes(Path(path), np.asarray(source.arrays["file"]).tobytes())


def _parts() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return pose, betas, expression and translation of no bodies."""
    return torch.zeros(0, 24, 3, 3), torch.zeros(0, 10), torch.zeros(0, 0), torch.zeros(0, 3)


def _estimate(source: Source, body: SkinnedBody | None) -> Estimate:
    from refine.body.load import load_body

    body = load_body("anny") if body is None else body
    none = torch.zeros(0, 2)
    state = State(body.rest_bodies(0), Camera(none, none, none))
    return Estimate(body, state, torch.zeros(0, dtype=torch.long), source, (NOTE,))
