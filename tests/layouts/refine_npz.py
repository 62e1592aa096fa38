"""refine's own npz: a result as `Result.save` writes it, of people of the built-in body whose bodies were changed."""

from pathlib import Path

import numpy as np
import torch

from refine.body import anny
from refine.result import Result
from refine.solve import StopReason
from tests.people import case

SUFFIX = ".npz"


def write(path: Path, people: int = 2) -> Path:
    """The file, with a key of somebody else's."""
    drawn = case(anny.load(), count=people)
    cost = torch.arange(1.0, people + 1)
    stop = (StopReason.CONVERGED,) * people
    result = Result(drawn.estimate, drawn.true.state, stop, 4 * cost, cost, 9 * cost, 2 * cost, notes=("A note.",))
    result.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **arrays, somebody_elses=np.arange(3))
    return path
