"""Crops around people: the weak-perspective camera in a crop, the full one of the photo, and both ways between them.

    u = cx + b/2 s (X + tx)        t = (tx + 2 (cx - W/2) / (b s), ty + 2 (cy - H/2) / (b s), 2 f / (b s))

`refine.geometry.weak_perspective` has the same and refuses s <= 0. In a batch one failed body must not end the others:
here it comes to lie behind the camera, where the refiner leaves it as it is. Boxes are (left, top, width, height) px in
the corner convention; cv2.warpAffine, which cuts most regressors' crops, counts from pixel centres, so the crop's
content lies up to half a pixel of the crop beside this.

Source: as `refine.geometry.weak_perspective`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.estimate import Estimate, Source, as_tensor
from refine.estimate.pelvis import source_pelvis
from refine.geometry.camera import Camera
from refine.plugin.adapters._tensors import images_of, unnormalised
from refine.transfer import RefinedSource, refined_source, to_body, with_camera
from refine.transfer.carry import joints_after


@dataclass(frozen=True, eq=False)
class Crops:
    """Where each person was cut out, and the photo's camera.

    Attributes:
        center: (B, 2) px, the middle of the crop in the photo.
        side: (B,) px, its side.
        camera: B cameras of the photo; the focal length is the regressor's choice.
    """

    center: Float[Tensor, "B 2"]
    side: Float[Tensor, "B"]
    camera: Camera

    def translation(self, weak: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3"]:
        """Return the translation (B, 3) m of crop cameras (s, tx, ty); behind the camera where s is below zero."""
        weak, wide = weak.double(), self.side.double() * weak[:, 0].double()
        wide = torch.where(wide == 0, torch.full_like(wide, -1e-9), wide)  # s = 0 has no depth
        shift = 2 * (self.center - self.camera.center).double() / wide[:, None]
        depth = 2 * self.camera.focal[:, :1].double() / wide[:, None]
        return torch.cat((weak[:, 1:] + shift, depth), 1).float()

    def weak(self, translation: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3"]:
        """Return the crop cameras (s, tx, ty) of translations (B, 3) m, the inverse."""
        place = translation.double()
        wide = 2 * self.camera.focal[:, 0].double() / place[:, 2]
        shift = 2 * (self.center - self.camera.center).double() / wide[:, None]
        return torch.cat(((wide / self.side.double())[:, None], place[:, :2] - shift), 1).float()


@dataclass(frozen=True, eq=False)
class Fresh:
    """A refined estimate in the regressor's parameters.

    Attributes:
        back: Pose, pelvis, translation, and which bodies changed.
        weak: (B, 3) crop cameras (s, tx, ty).
        joints: (B, L, 3) m, the output's list of joints in the refined pose, without the translation; None where it has
            none.
    """

    back: RefinedSource
    weak: Float[Tensor, "B 3"]
    joints: Float[Tensor, "B L 3"] | None

    @property
    def changed(self) -> Bool[Tensor, "B"]:
        """(B,) whether anything of a body did."""
        return self.back.changed


def whole_picture(where: str, batch: Mapping[str, object], focal_px: float, count: int) -> Crops:
    """Return crops that are the photo itself: the regressor was given no box, so its input is the only photo there is.

    Raises:
        InputError: The input is not there to tell its size.
    """
    shown = batch.get("img")
    if not isinstance(shown, Tensor) or shown.dim() != 4:
        advice = "Put where each person was cut out into the batch: box_center, box_size and img_size."
        raise InputError(
            f"{where}: img", "the network's input (B, 3, S, S), where no boxes are given", "neither", advice
        )
    height, width = shown.shape[2:]
    size = torch.tensor([[height, width]], dtype=torch.float32).expand(count, 2)
    camera = Camera(torch.full((count, 2), focal_px), size.flip(-1) / 2, size)
    return Crops(camera.center, size[:, 1], camera)


def placed(
    source: Source, weak: Float[Tensor, "B 3"], crops: Crops, batch: Mapping[str, Any], body: SkinnedBody | None
) -> Estimate:
    """Put a source whose joints and vertices are in the body's own frame into the photo.

    Args:
        source: Without a translation.
        weak: (B, 3) crop cameras (s, tx, ty).
        crops: Where they belong to.
        batch: Its `image_index` says which photo each body is in.
        body: The model; None: as for `to_body`.

    Returns:
        The estimate; `source.arrays` keeps box and focal length, so that it can be put back.
    """
    place = crops.translation(weak)
    side = crops.side[:, None].expand(-1, 2)
    arrays = {"box": torch.cat((crops.center - side / 2, side), 1), "focal": crops.camera.focal}
    source = replace(
        source,
        translation=place,
        joints=None if source.joints is None else source.joints + place[:, None],
        vertices=None if source.vertices is None else source.vertices + place[:, None],
        arrays=arrays | dict(source.arrays),
    )
    return to_body(source, crops.camera, body, images_of(source.format, batch, len(source)))


def crops_of(refined: Estimate) -> Crops:
    """Return the crops a source was placed with."""
    box, focal = (as_tensor(refined.source.arrays[name]) for name in ("box", "focal"))
    size = refined.camera.size.detach().cpu().float()
    return Crops(box[:, :2] + box[:, 2:] / 2, box[:, 2], Camera(focal, size.flip(-1) / 2, size))


def fresh_of(refined: Estimate, listed: Float[Tensor, "B L 3"] | None = None) -> Fresh:
    """Return an estimate made by `placed` in the regressor's terms; `listed` are the output's joints, body's frame."""
    crops = crops_of(refined)
    refined = with_camera(refined, crops.camera)
    back, joints = refined_source(refined), None
    if listed is not None:
        source = refined.source
        assert source.translation is not None
        step = back.pelvis - back.translation - (source_pelvis(source) - source.translation)
        joints = (joints_after(listed, refined, back) + step.double()[:, None]).float()
    return Fresh(back, crops.weak(back.translation), joints)


def pictures(batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
    """Return the crops a network was shown under "img", normalised as most are: (h, w, 3) uint8 each."""
    return unnormalised(batch)
