"""MMHuman3D's HumanData of a dataset with places, a camera and its size."""

from pathlib import Path

import numpy as np

from tests.layouts.humandata import dataset

FORMAT = "humandata"
SUFFIX = ".npz"
EXEMPT = {
    "test_a_refined_file_keeps_keys_shapes_and_types_and_what_it_does_not_know": (
        "keypoints of the body itself are left out too"
    )
}


def write(path: Path, people: int = 2) -> Path:
    """Write the file."""
    np.savez_compressed(path, **dataset(people))
    return path
