"""An estimate: what a regressor said about the people of one or several photos, on a body model, and what it stored beside.

`Source` keeps the regressor's own words untouched; `Estimate` is their meaning on a `SkinnedBody`, possibly after a change of model.
Frames: camera frame of the photo (x right, y down, z forward), metres, pixels of the photo.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine import batch
from refine.ambient import usual_torch
from refine.batch import PER_ROW, Index
from refine.body import PosedBody, SkinnedBody, pose_body
from refine.check import check_shape
from refine.estimate.found import Found
from refine.geometry.camera import Camera
from refine.short_repr import in_one_line
from refine.state import Bodies, State


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
        hand_mean: What its hand poses stand on, "flat" or "mean" (the model's mean hand), as the adapter knows it from the regressor's source;
            "" where nobody knows, and the stored joints must tell.
        images: Names of the photos as the file stores them, by `image_index`; empty where it stores none.
        persons: Who each body is (a track, a detection), as the file says it; empty where it does not.
        sigma_rad: (B, J) standard deviation of each local rotation, where the regressor states one, or None.
        joint_names: What each of `joints` is (`refine/transfer/joint_orders.py`), "" where nobody knows. Empty: the model's own first.
        doubts: What of it contradicts itself and was set aside, a sentence each (`refine/transfer/agreement.py`).
        evidence: Further things the regressor saw, by name: "depth" (B, h, w) m, "parts" (B, h, w) labels, ...; the adapter says in which frame.
        found: Refined bodies that stand beside these words in a file refine wrote (`refine/estimate/found.py`), or None.
        unusable: (B,) rows that are never refined and written back as they came (`refine.estimate.usable` says why); None: there are none.
        without_numbers: (B,) those of them whose own numbers are not finite: what stands in their place in these tensors and in an
            estimate's bodies is a stand-in behind the camera, for arithmetic alone. None: there are none.
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


@dataclass(frozen=True, eq=False)
class Estimate:
    """Bodies and cameras on a body model, with the source they were read from.

    Attributes:
        body: The model.
        state: Bodies and one camera each.
        image_index: (B,) which image of the call each body is seen in.
        source: The regressor's own words.
        notes: One sentence for each thing that was decided on the way (focal rule, change of model, ...).
        distance_m: (B,) m, what the way from the source to this body lost when it was read or converted: how far the two surfaces lie apart
            on average where one was fitted to the other, else the first 22 joints; NaN where the source stores neither, None: nothing was lost.
    """

    body: SkinnedBody
    state: State
    image_index: Int[Tensor, "B"]
    source: Source
    notes: tuple[str, ...] = ()
    distance_m: Float[Tensor, "B"] | None = None

    def __post_init__(self) -> None:
        check_shape("estimate.image_index", self.image_index, "B", B=len(self.state))

    def __repr__(self) -> str:
        from refine.result.text import estimate_text

        return estimate_text(self)

    def __len__(self) -> int:
        return len(self.state)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Estimate":
        """Return the same estimate on another device or in another floating-point type; the source stays where it is."""
        body, state = self.body.to(device, dtype), self.state.to(device, dtype)
        return replace(self, body=body, state=state, image_index=self.image_index.to(device=device))

    def rows(self, index: Index) -> "Estimate":
        """Return some of the bodies, to be refined by themselves.

        Args:
            index: Which, as a slice, a list or a tensor of rows, or a mask (B,).

        Returns:
            Those bodies, in the order of index; `image_index` still points into all photos, and the source's `arrays` stay the whole
            file's, so that only the whole estimate can be written back (`with_rows`).
        """
        return batch.rows(self, index)

    def with_rows(self, index: Index, state: State) -> "Estimate":
        """Return the estimate with some of its bodies and their cameras replaced: what `rows` took out, put back.

        Args:
            index: Which, as for `rows`; no row twice.
            state: Their new bodies and cameras, in the order of index.
        """
        return replace(self, state=batch.put(self.state, index, state))

    @property
    def bodies(self) -> Bodies:
        """The bodies: pose, shape, expression, translation."""
        return self.state.bodies

    @property
    def camera(self) -> Camera:
        """One camera a body."""
        return self.state.camera

    @property
    def posed(self) -> PosedBody:
        """The bodies, posed."""
        return pose_body(self.body, self.state.bodies)

    @property
    @usual_torch()
    def vertices(self) -> Float[Tensor, "B V 3"]:
        """(B, V, 3) m, camera frame."""
        return self.camera.transform(self.posed.vertices)

    @property
    @usual_torch()
    def joints(self) -> Float[Tensor, "B J 3"]:
        """(B, J, 3) m, camera frame."""
        return self.camera.transform(self.posed.joints)

    @usual_torch()
    def keypoints_2d(self, name: str) -> Float[Tensor, "B K 2"]:
        """Project a named keypoint set.

        Args:
            name: "coco17", "body25", "smpl24", "smplx55", "coco133" or another set of the body.

        Returns:
            (B, K, 2) px of the photo.

        Raises:
            InputError: The body has no such set.
        """
        return self.camera.project(self.posed.keypoints(self.body.keypoint_set(name)))


def as_array(value: object) -> np.ndarray:
    """Return a tensor, list or array as a numpy array on the CPU, detached; bfloat16, which numpy lacks, as float32."""
    if not isinstance(value, Tensor):
        return np.asarray(value)
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def as_tensor(value: object, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an array, list or tensor as a detached CPU tensor of the given type."""
    return torch.as_tensor(as_array(value)).detach().to(dtype)
