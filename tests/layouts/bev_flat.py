"""BEV's dictionary of a photo with its names at the top of the npz."""

from pathlib import Path

import numpy as np

from tests.layouts.bev import bev_results

FORMAT = "romp_flat"
SUFFIX = ".npz"


def write(path: Path, people: int = 2) -> Path:
    """A photo's file, with a key of somebody else's."""
    np.savez(path, **bev_results(people), somebody_elses=np.arange(3))
    return path
