"""The displacement network as evidence: shows it a view, and hands back what it says in pixels of the view's crops.

    view -> (photo, normals, depth, rest colours, mask, texture) -> network -> displacement

Where the network was trained at another side than the view's crops, what it is shown is resized to its own and what it
says back.

Source: Wehrbein et al., ICCVW 2023, sec. 3.2.
"""

import copy
from dataclasses import dataclass, field
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
from refine.check import check_shape
from refine.dense.correspondence import Matching
from refine.errors import InputError
from refine.geometry.crop import Crop
from refine.render import shade
from refine.render.view import View

LIMB_PX = 24.0
"""Errors that hang together farther than this move several limbs alike, and are taken up by the pelvis' place and turn:
they do not make what the pixels of one limb say of it less certain. About a tenth of a person's height in a crop of 256
px, an upper arm's length."""
REPORTED = 0.75
"""Share of an error a trained network asks for in its first round: by the benchmark `harm`'s measurement of ours 0.4 to
0.6 of medium and large ones in the mean, at most about this."""
REMEMBERED = 64
"""Bodies whose photos' features are kept from round to round, a megabyte each; of more, none are."""
RENDERED_SHARE = 0.5
"""A pixel of the network's input is of the body if at least half of it is."""


@dataclass(frozen=True, eq=False)
class NetworkDisplacer:
    """A `refine.refiner.Displacer` that asks the network.

    Attributes:
        network: In evaluation mode (`displacement_net.catalog.load`). It works on the device of the views; a copy for a
            device it does not lie on is kept.

    Raises:
        InputError: A setting is out of range, or the texture is not (B, Y, X, 4).
    """

    network: DisplacementNet
    texture: Tensor | None = None
    """(B, Y, X, 4) RGB and confidence, 0..1, on the body's texture coordinates; None: how people look is not known."""
    crop_px: int | None = None
    """Side at which the network looks; None: the one it was trained at."""
    threshold: float = 0.5
    """A point less likely to be visible than this says nothing."""
    together: int = 16
    """Bodies it looks at together: memory grows with them."""
    name: str | None = None
    """Which weights these are, for records of a run."""
    memory: "Memory" = field(default_factory=lambda: Memory(), init=False, repr=False, compare=False)
    """What it saw last in the photos; it changes the time an answer takes, never the answer."""

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

    @property
    def matching(self) -> Matching:
        """How matches are taken in crops of 256 px: errors hang together as far as was measured, but within a limb at most."""
        correlation = min(max(1.0, float(self.network.correlation_px)), LIMB_PX)
        return Matching(correlation_px=correlation, reported=REPORTED)

    @torch.no_grad()
    def displace(self, view: View) -> Displacement:
        """Return offsets (B, S, S, 2) in px of the view's crops with the square root of their information in 1/px.

        A view in double precision is looked at in double precision, which takes six times as long on a CPU: single
        precision's convolutions round a lone crop otherwise than one of several.

        Raises:
            InputError: There is not one texture a body, or the body has no texture coordinates.
        """
        shown = view_channels(view, self.texture)  # (B, 15, S, S)
        side = self.crop_px or self.network.settings.crop_px
        small = _resized(shown, side)
        network = self.network
        if (network.sharpness.device, network.sharpness.dtype) != (small.device, small.dtype):
            network = _on(network, small.device, small.dtype)
        looked = self._looked(network, small, view)
        said = []
        for first in range(0, len(small), self.together):
            rows = slice(first, first + self.together)
            seen = None if looked is None else looked[rows]
            said.append(network.displacement(small[rows], self.threshold, seen))
        rendered = view.fragments.triangle >= 0
        if not said:
            empty = view.fragments.barycentric.new_zeros(*rendered.shape, 2)
            return Displacement(empty, empty[..., None] * empty[..., None, :])
        offset = torch.cat([part.offset for part in said]).to(small)
        root = torch.cat([part.sqrt_information for part in said]).to(small)
        told = [part.person for part in said if part.person is not None]
        person = torch.cat(told).to(small) if told else None
        if shown.shape[-1] != side:
            person = None if person is None else _resized(person[:, None], shown.shape[-1])[:, 0]
            offset, root = _enlarged(offset, root, small[:, MASK] >= RENDERED_SHARE, shown.shape[-1])
        like = view.fragments.barycentric
        return Displacement(
            torch.where(rendered[..., None], offset.to(like), 0.0),
            torch.where(rendered[..., None, None], root.to(like), 0.0),
            None if person is None else torch.where(rendered, person.to(like), 0.0),
        )

    def _looked(self, network: DisplacementNet, small: Tensor, view: View) -> Seen | None:
        """Return what the photos show in the crops, asking the network about those only that it was not just asked about."""
        if not network.settings.correlation_radius or not 0 < len(small) <= REMEMBERED:
            return None
        last = self.memory.last  # read once: another thread may replace it
        fresh = torch.ones(len(small), dtype=torch.bool) if last is None else ~last.holds(view, small)
        rows = fresh.nonzero()[:, 0].to(small.device)
        seen = None if last is None or len(rows) == len(small) else last.seen
        if len(rows):
            asked = small[:, PHOTO] if seen is None else small[rows][:, PHOTO]
            told = [network.look(part) for part in asked.split(self.together)]
            new = joined([part for part in told if part is not None])
            seen = new if seen is None else seen.with_rows(rows, new)
        assert seen is not None  # there is at least one crop
        self.memory.last = Looked(seen, view.photos, view.crop, small.shape, small.device)
        return seen


@dataclass(frozen=True, eq=False)
class Looked:
    """What a network saw in the photos' crops of a view; `shape` and `device` of what it was shown."""

    seen: Seen
    photos: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    crop: Crop
    shape: tuple[int, ...]
    device: torch.device

    def holds(self, view: View, small: Tensor) -> Bool[Tensor, "B"]:
        """Return which crops of a view are these, (B,) on the CPU."""
        none = torch.zeros(len(small), dtype=torch.bool)
        alike = small.shape == self.shape and small.device == self.device and len(view.photos) == len(self.photos)
        if not alike or not all(a is b for a, b in zip(view.photos, self.photos, strict=True)):
            return none
        stays = (view.crop.crop_from_image == self.crop.crop_from_image).flatten(1).all(1)
        return (stays & (view.crop.image_index == self.crop.image_index)).cpu()


class Memory:
    """A place for what was seen last."""

    def __init__(self) -> None:
        self.last: Looked | None = None


@lru_cache(maxsize=4)
def _on(network: DisplacementNet, device: torch.device, dtype: torch.dtype) -> DisplacementNet:
    """Return a copy of a network on another device, or in another precision, the same one every time."""
    return copy.deepcopy(network).to(device, dtype)


@cache
@usual_torch()
def shipped_displacer() -> NetworkDisplacer:
    """Return the network that ships with the library, read once, on the CPU.

    Raises:
        InputError: Its file is missing or is not the one the catalogue means.
    """
    row = next(row for row in WEIGHTS if row.name == DEFAULT)
    return NetworkDisplacer(load(DEFAULT), name=f"{row.name} {row.sha256[:12]}")


def view_channels(view: View, texture: Float[Tensor, "B Y X 4"] | None = None) -> Float[Tensor, "B 15 S S"]:
    """Return what the network is shown of a view, in the view's precision.

    Args:
        view: B crops of S px with their renderings.
        texture: (B, Y, X, 4) RGB and confidence, 0..1; None: unknown.
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
    """Return offsets and roots for crops of another side, from those of rendered pixels only: what is beside the body has no say."""
    ratio = side / offset.shape[1]
    informed = rendered & root.diagonal(dim1=-2, dim2=-1).gt(0).all(-1)  # (B, s, s)
    said = torch.cat((offset * ratio, root.flatten(-2) / ratio), -1) * informed[..., None]
    stack = torch.cat((said, informed[..., None].to(said)), -1).permute(0, 3, 1, 2)  # (B, 7, s, s)
    large = functional.interpolate(stack, size=(side, side), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    share = large[..., 6:]
    mean = torch.where(share >= RENDERED_SHARE, large[..., :6] / share.clamp(min=RENDERED_SHARE), 0.0)
    return mean[..., :2], mean[..., 2:].unflatten(-1, (2, 2))
