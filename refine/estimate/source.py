"""A source: what a regressor stored, in its own words, untouched.

Frames: camera frame of the photo (x right, y down, z forward), metres, pixels of the photo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine import batch
from refine.batch import PER_ROW, Index, in_one_line
from refine.estimate.found import Found


@dataclass(frozen=True, eq=False)
class Source:
    """What a regressor stored, in its own words.

    Attributes:
        format: The format's name ("romp", "bev", "parameters", ...), the file name in `refine/formats/`.
        model: The body model its numbers belong to: "smpl", "smplh", "smplx" or "anny".
        pose: (B, J, 3, 3) local rotations in that model's joint order (24, 52 or 55 joints).
        betas: (B, S) shape coefficients of that model.
        expression: (B, E); E may be 0.
        translation: (B, 3) m, SMPL's `transl` in the camera frame, or None where it is only known through `joints`.
        joints: (B, J', 3) m, stored joints in the camera frame, or None. In an estimate the model's own stand first.
        vertices: (B, V, 3) m, stored vertices in the camera frame, or None.
        keypoints_2d: (B, K, 2) px, stored projected joints, or None.
        arrays: The file's content as read, for writing back; empty where the estimate came from memory.
        focal_rule: How the focal length was found, in words.
        any_lens: Whether the system takes this focal length for every photo, so that it tells nothing of the lens.
        path: The file, or None.
        gender: "neutral", "female" or "male".
        hand_mean: What its hand poses stand on, "flat" or "mean" (the model's mean hand), as the adapter knows it from
            the regressor's source; "" where nobody knows, and the stored joints must tell.
        images: Names of the photos as the file stores them, by `image_index`; empty where it stores none.
        persons: Who each body is (a track, a detection), as the file says it; empty where it does not.
        sigma_rad: (B, J) standard deviation of each local rotation, where the regressor states one, or None.
        joint_names: What each of `joints` is (`refine/transfer/joint_orders.py`), "" where nobody knows. Empty: the
            model's own first.
        doubts: What of it contradicts itself and was set aside, a sentence each (`refine/transfer/agreement.py`).
        evidence: Further things the regressor saw, by name: "depth" (B, h, w) m, "parts" (B, h, w) labels, ...; the
            adapter says in which frame.
        found: Refined bodies that stand beside these words in a file refine wrote (`refine/estimate/found.py`), or
            None.
        unusable: (B,) rows that are never refined and written back as they came (`refine.estimate.usable` says why);
            None: there are none.
        without_numbers: (B,) those of them whose own numbers are not finite: what stands in their place in these
            tensors and in an estimate's bodies is a stand-in behind the camera, for arithmetic alone. None: there are
            none.
    """

    format: str
    model: str
    pose: Float[Tensor, "B J 3 3"]
    betas: Float[Tensor, "B S"]
    expression: Float[Tensor, "B E"]
    translation: Float[Tensor, "B 3"] | None = None
    joints: Float[Tensor, "B L 3"] | None = None
    vertices: Float[Tensor, "B W 3"] | None = None
    keypoints_2d: Float[Tensor, "B K 2"] | None = None
    arrays: Mapping[str, object] = field(default_factory=dict)
    focal_rule: str = ""
    path: Path | None = None
    gender: str = "neutral"
    hand_mean: str = ""
    images: tuple[str, ...] = ()
    persons: tuple[str, ...] = field(default=(), metadata=PER_ROW)
    sigma_rad: Float[Tensor, "B J"] | None = None
    joint_names: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    evidence: Mapping[str, Tensor] = field(default_factory=dict, metadata=PER_ROW)
    found: Found | None = None
    unusable: Bool[Tensor, "B"] | None = None
    without_numbers: Bool[Tensor, "B"] | None = None
    any_lens: bool = False

    __repr__ = in_one_line

    def __len__(self) -> int:
        return self.pose.shape[0]

    def rows(self, index: Index) -> "Source":
        """Return what was said of some of the bodies, in the order of index; `arrays` and `images` stay the whole file's."""
        return batch.rows(self, index)


def as_array(value: object) -> np.ndarray:
    """Return a tensor, list or array as a numpy array on the CPU, detached; bfloat16, which numpy lacks, as float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def as_tensor(value: object, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an array, list or tensor as a detached CPU tensor of the given type."""
    return torch.as_tensor(as_array(value)).detach().to(dtype)
