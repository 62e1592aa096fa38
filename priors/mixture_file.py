"""Pose mixtures as files: this library's own, and SMPLify's.

    .safetensors   weight (K,), mean (K, 3 J), covariance (K, 3 J, 3 J);
                   metadata: format "refine pose mixture 1", joint_names, provenance
    .pkl           dictionary of weights (K,), means (K, 69), covars (K, 69, 69): `gmm_08.pkl`, over SMPL's 23 joints
                   behind the root

Source: the code that comes with SMPLify (smplify.is.tue.mpg.de) and SMPLify-X name and order the pickled arrays so.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from priors.prior_file import TRUNK_AND_LIMBS, names_of, read_prior_file, take, write_prior_file
from refine.body.keypoint_names import SMPL24
from refine.body.official_file import read_official_file
from refine.errors import InputError

FORMAT = "refine pose mixture 1"
"""Name and version of the file format; another version is refused."""

JOINTS_OF_A_PICKLE = {3 * 23: SMPL24[1:], 3 * 21: TRUNK_AND_LIMBS}
"""Joints by the width of the means: SMPLify's are over SMPL's 23."""


class MixtureParts(NamedTuple):
    """What a file holds: the fields of `priors.GaussianMixturePose` by their names, in double precision."""

    weight: Float[Tensor, "K"]
    mean: Float[Tensor, "K D"]
    covariance: Float[Tensor, "K D D"]
    joint_names: tuple[str, ...]


def read_mixture(path: str | Path) -> MixtureParts:
    """Read a mixture by its file's ending.

    Args:
        path: A .safetensors of this library, or a .pkl (.npz) with means, covars and weights.

    Raises:
        InputError: There is no such file, it is damaged or hostile, or is of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("path", "a pose mixture (.safetensors, or SMPLify's gmm_08.pkl)", f"no file at {path}")
    if path.suffix in (".pkl", ".npz"):
        return _official(path)
    tensors, words = read_prior_file(path, FORMAT)
    names = names_of(path.name, words)
    width = 3 * len(names)
    mean = take(path.name, tensors, "mean", None, width)
    covariance = take(path.name, tensors, "covariance", len(mean), width, width)
    return MixtureParts(take(path.name, tensors, "weight", len(mean)), mean, covariance, names)


def write_mixture(path: str | Path, mixture: MixtureParts, words: Mapping[str, str]) -> int:
    """Write a mixture in single precision.

    Args:
        path: The file.
        mixture: What to write.
        words: Provenance: trained_on, licence, command, figures.

    Returns:
        The size in bytes.

    Raises:
        InputError: The file cannot be written.
    """
    *tensors, names = mixture
    single = {name: tensor.float() for name, tensor in zip(MixtureParts._fields[:3], tensors, strict=True)}
    return write_prior_file(path, FORMAT, single, {**words, "joint_names": json.dumps(names)})


def _official(path: Path) -> MixtureParts:
    """Read SMPLify's file; nothing in it is executed."""
    arrays = read_official_file(path, ("means", "covars", "weights"))
    means = arrays.take("means", None, None)
    count, width = means.shape
    if width not in JOINTS_OF_A_PICKLE:
        known = " or ".join(str(known) for known in JOINTS_OF_A_PICKLE)
        raise InputError(
            f"{path.name}: means", f"rows of {known} numbers (three a joint)", f"{width}", "A mixture of another model?"
        )
    covars = arrays.take("covars", count, width, width)
    weights = arrays.take("weights", count)
    weight, mean, covariance = (torch.tensor(part, dtype=torch.float64) for part in (weights, means, covars))
    return MixtureParts(weight, mean, covariance, JOINTS_OF_A_PICKLE[width])
