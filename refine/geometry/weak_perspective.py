"""Weak-perspective cameras, as most regressors predict them, and their conversion to full perspective and back.

    weak: pixel = scale * (X, Y) + origin        full: pixel = focal * (X + Tx, Y + Ty) / (Z + Tz) + center

with (X, Y, Z) in the body's own frame. Both agree at the body's origin and to first order around its depth:

    Tz = sqrt(fx fy / (scale_x scale_y)),   (Tx, Ty) = (origin - center) Tz / focal

For a square box (cx, cy, b) with crop camera (s, tx, ty), f = fx = fy and the principal point (W/2, H/2) this is the
usual `tz = 2f/(b s)`, `tx' = tx + 2 (cx - W/2)/(b s)` of CLIFF, HMR2 and SPIN. Changing f only moves the body along its
ray.

Source: Kissos et al., Beyond Weak Perspective for Monocular 3D Human Pose Estimation (arXiv 2009.06549), sec. 3; CLIFF
(arXiv 2208.00571), eq. 4-5.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from refine.check import check_finite, check_positive, check_shape
from refine.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class WeakPerspective:
    """B weak-perspective cameras, in pixels of the photo.

    Attributes:
        scale: (B, 2) px/m along x and y.
        origin: (B, 2) px, projection of the origin of the body's frame; corner convention.

    Raises:
        InputError: The parts disagree on the number of bodies.
    """

    scale: Float[Tensor, "B 2"]
    origin: Float[Tensor, "B 2"]

    def __post_init__(self) -> None:
        sizes = check_shape("weak.scale", self.scale, "B 2")
        check_shape("weak.origin", self.origin, "B 2", **sizes)

    def project(self, point: Float[Tensor, "B N 3"]) -> Float[Tensor, "B N 2"]:
        """Project points of the body's frame (B, N, 3) m to (B, N, 2) px; their depth does not matter."""
        return self.scale[:, None] * point[..., :2] + self.origin[:, None]

    def to_translation(self, camera: Camera) -> Float[Tensor, "B 3"]:
        """Return the translation at which the body has the same position and size in the full-perspective camera.

        Args:
            camera: B cameras of the photo; the focal length is the caller's choice (`refine.geometry.focal`).

        Returns:
            (B, 3) m, to be added to points of the body's frame. Where fx/fy is not the scales' ratio the depth is the
            geometric mean of those of both axes.

        Raises:
            InputError: A scale is not above zero: the crop camera is that of a body behind the camera.
        """
        check_finite("weak.scale", self.scale)
        advice = "The regressor failed on this body (s <= 0): remove it."
        check_positive("weak.scale", self.scale, "px/m", advice)
        depth = (camera.focal.prod(-1) / self.scale.prod(-1)).sqrt()[:, None]
        if camera.distortion is not None:
            return torch.cat((camera.slopes(self.origin[:, None])[:, 0] * depth, depth), 1)
        return torch.cat(((self.origin - camera.center) * depth / camera.focal, depth), 1)

    def in_box(self, center: Float[Tensor, "B 2"], side: Float[Tensor, "B"]) -> Float[Tensor, "B 3"]:
        """Return the crop camera (s, tx, ty) in a square box, the inverse of `from_box`.

        Args:
            center: (B, 2) px, the box's centre.
            side: (B,) px, the box's side.

        Returns:
            (B, 3), unitless scale (the geometric mean of both axes) and m.
        """
        scale = 2 * self.scale.prod(-1).sqrt() / side
        shift = 2 * (self.origin - center) / (side * scale)[:, None]
        return torch.cat((scale[:, None], shift), 1)


def from_box(weak: Float[Tensor, "B 3"], center: Float[Tensor, "B 2"], side: Float[Tensor, "B"]) -> WeakPerspective:
    """Return the camera of a crop: u = cx + b/2 s (X + tx).

    SPIN, HMR2, TokenHMR, CLIFF, PARE, WHAM, CameraHMR, EFT. For SPIN's own camera (f = 5000 px in the 224 px crop) give
    the crop itself as the box, center (112, 112) and side 224.

    Args:
        weak: (B, 3), the regressor's (s, tx, ty).
        center: (B, 2) px, the box's centre in the photo.
        side: (B,) px, the box's side (200 * scale where a file stores SPIN's "scale").

    Returns:
        B cameras in px of the photo.
    """
    scale = weak[:, :1] * side[:, None] / 2
    return WeakPerspective(scale.expand(-1, 2), center + scale * weak[:, 1:])


def from_padded_square(weak: Float[Tensor, "B 3"], size: Float[Tensor, "B 2"]) -> WeakPerspective:
    """Return the camera of a photo padded to a square: u = (s X + tx + 1) M/2 - pad, M = max(W, H) (ROMP).

    Args:
        weak: (B, 3), ROMP's `cam` (s, tx, ty). (BEV stores (s, ty, tx), and is a perspective camera.)
        size: (B, 2) px, (height, width) of the photo without the pads.

    Returns:
        B cameras in px of the photo. ROMP means it exactly: a full-perspective camera agrees with it only from afar.
    """
    half = size.amax(-1, keepdim=True) / 2
    return WeakPerspective((weak[:, :1] * half).expand(-1, 2), half * weak[:, 1:] + size.flip(-1) / 2)


def from_whole_image(weak: Float[Tensor, "B 4"], size: Float[Tensor, "B 2"]) -> WeakPerspective:
    """Return the camera over the whole photo: u = (sx (X + tx) + 1) W/2 (PyMAF-X's and POCO's `orig_cam`, VIBE).

    Args:
        weak: (B, 4), (sx, sy, tx, ty).
        size: (B, 2) px, (height, width) of the photo.

    Returns:
        B cameras in px of the photo.
    """
    half = size.flip(-1) / 2
    return WeakPerspective(weak[:, :2] * half, (weak[:, :2] * weak[:, 2:] + 1) * half)


def from_perspective(translation: Float[Tensor, "B 3"], camera: Camera) -> WeakPerspective:
    """Return the weak-perspective camera that equals the full one to first order around the body's origin.

    Args:
        translation: (B, 3) m, camera frame, z above zero.
        camera: B cameras of the photo; distortion moves the body's origin, its size stays the pinhole's.

    Returns:
        B cameras in px of the photo.

    Raises:
        InputError: A body's origin lies behind the camera.
    """
    depth = translation[:, 2:]
    check_positive("translation z", depth, "m", "A body behind the camera has no weak-perspective camera.")
    scale = camera.focal / depth
    if camera.distortion is not None:
        return WeakPerspective(scale, camera.local.project(translation[:, None])[:, 0])
    return WeakPerspective(scale, scale * translation[:, :2] + camera.center)
