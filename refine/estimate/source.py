"""A source: a regressor's stored output, in its own model's parameters, unchanged.

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
    """A regressor's stored output, in its own model's parameters.

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
        focal_rule: Description of how the focal length was found.
        any_lens: Whether the system assumes this focal length for every photo, whatever its lens.
        path: The file, or None.
        gender: "neutral", "female" or "male".
        hand_mean: The hand pose its hand rotations are relative to, "flat" or "mean" (the model's mean hand), as
            documented by the regressor; "": unknown, inferred from the stored joints.
        images: Names of the photos as the file stores them, by `image_index`; empty where it stores none.
        persons: Identity of each body (a track, a detection) as the file stores it; empty where it stores none.
        sigma_rad: (B, J) rad, standard deviation of each local rotation, where the regressor states one, or None.
        joint_names: Name of each of `joints` (`refine/transfer/joint_orders.py`), "" where unknown. Empty: the model's
            own first.
        doubts: A sentence for each contradiction within the file (`refine/transfer/agreement.py`).
        evidence: Further outputs of the regressor by name: "depth" (B, h, w) m, "parts" (B, h, w) labels, ..., in the
            frame the adapter documents.
        found: Refined bodies stored in a file that refine wrote (`refine/estimate/found.py`), or None.
        unusable: (B,) rows that are never refined and written back unchanged (`refine.estimate.usable`); None: none.
        camera_from_world: (B, 3, 4) m, where the camera stands in the file's world as each body is seen, if the file
            knows it (`refine.transfer.in_world`), or None.
        without_numbers: (B,) those of them whose own numbers are not finite: in these tensors and in an estimate's
            bodies a stand-in behind the camera replaces them. None: none.
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
    camera_from_world: Float[Tensor, "B 3 4"] | None = None

    __repr__ = in_one_line

    def __len__(self) -> int:
        return self.pose.shape[0]

    def rows(self, index: Index) -> "Source":
        """Return the source of some of the bodies, in the order of index; `arrays` and `images` stay whole."""
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
