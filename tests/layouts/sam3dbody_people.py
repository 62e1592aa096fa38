"""SAM 3D Body's list of people, saved with torch."""

from pathlib import Path

import torch

from tests.layouts.sam3dbody import EXEMPT as EXEMPT
from tests.layouts.sam3dbody import person

SUFFIX = ".pt"


def write(path: Path, people: int = 2) -> Path:
    """A photo's list; nobody has a mask, everybody a key of somebody else's."""
    torch.save([person(n) | {"mask": None, "somebody_elses": [0, 1, 2]} for n in range(people)], path)
    return path
