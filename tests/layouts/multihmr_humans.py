"""Multi-HMR's list of people as its model returns it (what the adapter gets), saved with torch."""

from pathlib import Path

import torch

from tests.regressor_files import HEIGHT, WIDTH
from tests.regressor_outputs_smplx import multihmr

SUFFIX = ".pt"
SIZES = [[float(HEIGHT), float(WIDTH)]]
DERIVED = frozenset({"loc", "v3d", "j2d"})


def write(path: Path, people: int = 2) -> Path:
    """A photo's list, with a key of somebody else's."""
    torch.save([person | {"somebody_elses": torch.arange(3)} for person in multihmr(people).output], path)
    return path
