"""The displacement network as a displacer.

    view -> (photo, normals, depth, rest colours, mask, texture) -> network -> displacement in px of the view's crops

Where the network was trained at another side than the view's crops, its input and output are resized.

Source: Wehrbein et al., ICCVW 2023, sec. 3.2.
"""

import copy
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from displacement_net.catalog import DEFAULT, WEIGHTS, load
from displacement_net.displacement import Displacement
from displacement_net.model import DisplacementNet, Seen, joined
from displacement_net.preprocessing import MASK, PHOTO, network_input
from refine.ambient import usual_torch
from refine.batch import Index
from refine.check import check_shape
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.geometry.crop import Crop
from refine.render import shade
from refine.render.view import View
from refine.terms.correlation import Correlation

OVER_FRAMES = Correlation(time_s=0.085, views=0.3)
"""Of the network's errors over frames and views: taken to be a detector's (`refine.terms.keypoints.DETECTIONS`)."""
LIMB_PX = 24.0
"""Upper bound of the correlation length. Errors correlated over more than a limb move several limbs alike and are taken
up by translation and root rotation, without making a limb's own pose less certain. About a tenth of a person's height
in a crop of 256 px, an upper arm's length."""
REPORTED = 0.75
"""Share of an error that a trained network's displacement has in its first round: by the benchmark `harm`, ours has 0.4
to 0.6 of medium and large ones in the mean, at most about this."""
REMEMBERED = 64
"""Bodies whose photos' features are kept from round to round, a megabyte each; of larger batches none are."""
RENDERED_SHARE = 0.5
"""Least share of a pixel of the network's input that the body must cover to count as rendered."""


@dataclass(frozen=True, eq=False)
class NetworkDisplacer:
    """The displacement network as a `refine.dense.displacer.Displacer`.

    Attributes:
        network: In evaluation mode (`displacement_net.catalog.load`). It works on the device of the views; a copy for a
            device it does not lie on is kept.

    Raises:
        InputError: A setting is out of range, or the texture is not (B, Y, X, 4).
    """

    network: DisplacementNet
    texture: Tensor | None = None
    """(B, Y, X, 4) RGB and confidence, 0..1, on the body's texture coordinates; None: unknown."""
    crop_px: int | None = None
    """Side of the network's input; None: the one it was trained at."""
    threshold: float = 0.5
    """Least probability of being visible; less visible points have zero information."""
    together: int = 16
    """Bodies in a forward pass; memory grows with them."""
    name: str | None = None
    """Name of the weights, for records of a run."""
    memory: "Memory" = field(default_factory=lambda: Memory(), init=False, repr=False, compare=False)
    """Cache of the last photos' features; it affects time only."""

    def __post_init__(self) -> None:
        side, multiple = self.crop_px or self.network.settings.crop_px, self.network.settings.multiple
        if side < multiple or side % multiple:
            raise InputError("crop_px", f"a multiple of {multiple}", str(side))
        if not 0 <= self.threshold < 1 or self.together < 1:
            raise InputError(
                "displacer", "threshold in 0..1 and together of at least 1", f"{self.threshold:g} and {self.together}"
            )
        if self.network.training:
            raise InputError("network", "a network in evaluation mode", "one in training mode", "Call network.eval().")
        if self.texture is not None:
            check_shape("texture", self.texture, "B Y X 4")

    def rows(self, index: Index) -> "NetworkDisplacer":
        """Return the displacer of some of the bodies, in the order of index: each with its own texture."""
        if self.texture is None:
            return self
        return replace(self, texture=self.texture[index])

    @property
    def matching(self) -> Matching:
        """Sampling settings for crops of 256 px, with the network's measured correlation length, at most `LIMB_PX`."""
        correlation = min(max(1.0, float(self.network.correlation_px)), LIMB_PX)
        return Matching(correlation=replace(OVER_FRAMES, pixels=correlation), reported=REPORTED)

    @torch.no_grad()
    def displace(self, view: View) -> Displacement:
        """Return offsets (B, S, S, 2) px of the view's crops, and the roots of their information (B, S, S, 2, 2) 1/px.

        A view in double precision is processed in double precision, which takes six times as long on a CPU: single
        precision's convolutions round a single crop differently from one of several.

        Args:
            view: B crops of S px.

        Raises:
            InputError: There is not one texture a body, or the body has no texture coordinates.
        """
        shown = view_channels(view, self.texture)  # (B, 15, S, S)
        side = self.crop_px or self.network.settings.crop_px
        small = _resized(shown, side)
        network = self.network
        if (network.sharpness.device, network.sharpness.dtype) != (small.device, small.dtype):
            network = _on(network, small.device, small.dtype)
        features = self._photo_features(network, small, view)
        parts = []
        for first in range(0, len(small), self.together):
            rows = slice(first, first + self.together)
            seen = None if features is None else features[rows]
            parts.append(network.displacement(small[rows], self.threshold, seen))
        rendered = view.fragments.triangle >= 0
        if not parts:
            empty = view.fragments.barycentric.new_zeros(*rendered.shape, 2)
            return Displacement(empty, empty[..., None] * empty[..., None, :])
        offset = torch.cat([part.offset for part in parts]).to(small)
        root = torch.cat([part.sqrt_information for part in parts]).to(small)
        persons = [part.person for part in parts if part.person is not None]
        person = torch.cat(persons).to(small) if persons else None
        if shown.shape[-1] != side:
            person = None if person is None else _resized(person[:, None], shown.shape[-1])[:, 0]
            offset, root = _enlarged(offset, root, small[:, MASK] >= RENDERED_SHARE, shown.shape[-1])
        like = view.fragments.barycentric
        return Displacement(
            torch.where(rendered[..., None], offset.to(like), 0.0),
            torch.where(rendered[..., None, None], root.to(like), 0.0),
            None if person is None else torch.where(rendered, person.to(like), 0.0),
        )

    def _photo_features(self, network: DisplacementNet, small: Tensor, view: View) -> Seen | None:
        """Return the features of the photos' crops, computed only where the last call's do not hold."""
        if not network.settings.correlation_radius or not 0 < len(small) <= REMEMBERED:
            return None
        last = self.memory.last  # read once: another thread may replace it
        fresh = torch.ones(len(small), dtype=torch.bool) if last is None else ~last.holds(view, small)
        rows = fresh.nonzero()[:, 0].to(small.device)
        seen = None if last is None or len(rows) == len(small) else last.seen
        if len(rows):
            crops = small[:, PHOTO] if seen is None else small[rows][:, PHOTO]
            parts = [network.look(part) for part in crops.split(self.together)]
            new = joined([part for part in parts if part is not None])
            seen = new if seen is None else seen.with_rows(rows, new)
        assert seen is not None  # there is at least one crop
        self.memory.last = PhotoFeatures(seen, view.photos, view.crop, small.shape, small.device)
        return seen


@dataclass(frozen=True, eq=False)
class PhotoFeatures:
    """The network's features of a view's photo crops; `shape` and `device` of its input."""

    seen: Seen
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    crop: Crop
    shape: tuple[int, ...]
    device: torch.device

    def holds(self, view: View, small: Tensor) -> Bool[Tensor, "B"]:
        """Return which crops of a view these features are of, (B,) on the CPU."""
        none = torch.zeros(len(small), dtype=torch.bool)
        alike = small.shape == self.shape and small.device == self.device and len(view.photos) == len(self.photos)
        if not alike or not all(a is b for a, b in zip(view.photos, self.photos, strict=True)):
            return none
        stays = (view.crop.crop_from_image == self.crop.crop_from_image).flatten(1).all(1)
        return (stays & (view.crop.image_index == self.crop.image_index)).cpu()


class Memory:
    """A cache of one entry."""

    def __init__(self) -> None:
        self.last: PhotoFeatures | None = None


@lru_cache(maxsize=4)
def _on(network: DisplacementNet, device: torch.device, dtype: torch.dtype) -> DisplacementNet:
    """Return a cached copy of a network on another device or in another precision."""
    return copy.deepcopy(network).to(device, dtype)


@cache
@usual_torch()
def shipped_displacer() -> NetworkDisplacer:
    """Return the network that ships with the library, read once, on the CPU.

    Raises:
        InputError: Its file is missing or has another checksum than the catalogue's.
    """
    row = next(row for row in WEIGHTS if row.name == DEFAULT)
    return NetworkDisplacer(load(DEFAULT), name=f"{row.name} {row.sha256[:12]}")


def view_channels(view: View, texture: Float[Tensor, "B Y X 4"] | None = None) -> Float[Tensor, "B 15 S S"]:
    """Return the network's input channels of a view, in the view's precision.

    Args:
        view: B crops of S px with their renderings.
        texture: (B, Y, X, 4) RGB and confidence, 0..1; None: unknown.

    Returns:
        (B, 15, S, S), see `displacement_net.preprocessing.network_input`.

    Raises:
        InputError: There is not one texture a body.
    """
    body, fragments = view.estimate.body, view.fragments
    like = fragments.barycentric
    photo = torch.from_numpy(view.pixels()).to(like) / 255
    normals = shade.pixel_normals(fragments, body.faces, view.vertices)
    rest = shade.interpolate(fragments, body.faces, body.vertex_colors.to(like).expand(len(like), -1, -1))
    painted = None
    if texture is not None:
        check_shape("texture", texture, "B Y X 4", B=len(like))
        painted = shade.texture_colors(fragments, body.uv.to(like), body.uv_faces, texture.to(like))
    return network_input(photo, normals, fragments.depth, rest, fragments.triangle >= 0, painted)


def _resized(shown: Tensor, side: int) -> Tensor:
    """Return channels (B, C, side, side): averages where they shrink, bilinear where they grow."""
    if shown.shape[-1] == side:
        return shown
    smaller = side < shown.shape[-1]
    return functional.interpolate(shown, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller)


def _enlarged(offset: Tensor, root: Tensor, rendered: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return offsets and roots for crops of another side, interpolated between rendered pixels only."""
    ratio = side / offset.shape[1]
    informed = rendered & root.diagonal(dim1=-2, dim2=-1).gt(0).all(-1)  # (B, s, s)
    values = torch.cat((offset * ratio, root.flatten(-2) / ratio), -1) * informed[..., None]
    stack = torch.cat((values, informed[..., None].to(values)), -1).permute(0, 3, 1, 2)  # (B, 7, s, s)
    large = functional.interpolate(stack, size=(side, side), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    share = large[..., 6:]
    mean = torch.where(share >= RENDERED_SHARE, large[..., :6] / share.clamp(min=RENDERED_SHARE), 0.0)
    return mean[..., :2], mean[..., 2:].unflatten(-1, (2, 2))
