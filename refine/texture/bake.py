"""Bakes texture maps from photos of people whose bodies are estimated.

    trust(texel, frame) = visible * cosine * rim * given * detail² cosine² / (detail² cosine² + blur²)
    rim = clip((distance to the outline - CUT sigma) / (RIM_M + sigma))
    blur² = (half a pixel)² + sigma²,   detail = DETAIL_M
    colour = argmin_c sum_f trust_f ||c - color_f||         (geometric median, by reweighting; one frame: its colour)
    confidence = (1 - prod_f (1 - trust_f)) * agreement
    agreement = sum_f trust_f / (1 + (r_f / SPREAD)²) / sum_f trust_f

A texel is visible where its surface point lies no deeper than the rendering at its pixel. A pixel's size and the
estimate's uncertainty sigma are lengths across the view, m; on a surface seen at an angle both cover more. Near
outlines, the body's own included, a misaligned estimate shows the background or another limb: trust is zero very close
to one, and small near it.

Source: Debevec, Taylor and Malik, Modeling and Rendering Architecture from Photographs, SIGGRAPH 1996, sec. 3
(view-dependent weights); Weiszfeld 1937, with the smoothing of Vardi and Zhang, PNAS 97(4), 2000 (geometric median);
Williams, Casting Curved Shadows on Curved Surfaces, SIGGRAPH 1978 (visibility by depth).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from refine import batch
from refine.batch import Index
from refine.check import check_finite, check_shape
from refine.errors import InputError
from refine.geometry.camera import NEAR_M, Camera
from refine.render import Fragments
from refine.render.shade import sample_texture, vertex_normals
from refine.texture.atlas import Atlas
from refine.texture.texture import Fill, Texture

DETAIL_M = 0.02
"""Size of the detail to be resolved, m: half a shirt's stripe. A blur of this size halves the trust."""

RIM_M = 0.015
"""Distance from an outline over which trust rises from zero to one, m: about that of hair and folded cloth from the
skin."""

CUT = 0.5
"""Distance from an outline in sigmas within which trust is zero: there the photo shows the background with more than
31 %."""

JUMP_M = 0.03
"""Least step in depth between neighbouring pixels that is an outline, m: a forearm before the trunk."""

LARGEST_RIM_PX = 64
"""Largest width of the rim, px: each pixel costs a pass over the rendering."""

CLOSE_M = 0.004
"""Largest depth of a visible texel behind its pixel's centre, m, beyond that of the surface's slant."""

GRAZING = 0.1
"""Least cosine of the viewing angle (84 degrees)."""

SPREAD = 0.15
"""Distance of a frame's colour from the combined one at which its agreement is a half: that of light and folds."""

MEDIAN_PASSES, MEDIAN_FLOOR = 10, 0.01
"""Iterations of the geometric median, and the least distance in a frame's weight: 2.5 steps of 8-bit colour."""

TEXELS_AT_ONCE = 1 << 19
"""Texels of all frames in memory at a time, about 300 bytes each: three frames of a 512 map, a hundred of a 96 map."""


@dataclass(frozen=True, eq=False)
class Frames:
    """B photos (or crops) of one body each, with the estimated body.

    Attributes:
        pixels: (B, H, W, 3) RGB, code values, 0..1.
        vertices: (B, V, 3) m, camera frame.
        camera: B cameras of the H x W pictures (`camera_from_world` is not applied, distortion is).
        fragments: (B, H, W) the body rasterised into its picture.
        trust: (B, H, W) 0..1, the caller's weight: zero outside a mask of the person, beyond the photo's border or
            behind someone else. None: one everywhere.
        sigma_m: (B, V) m, standard deviation of each vertex across the view. None: zero.

    Raises:
        InputError: There is no frame, or the parts disagree on the number of bodies or the size of the pictures.
    """

    pixels: Float[Tensor, "B H W 3"]
    vertices: Float[Tensor, "B V 3"]
    camera: Camera
    fragments: Fragments
    trust: Float[Tensor, "B H W"] | None = None
    sigma_m: Float[Tensor, "B V"] | None = None

    def __post_init__(self) -> None:
        sizes = check_shape("frames.pixels", self.pixels, "B H W 3")
        if not sizes["B"]:
            raise InputError("frames", "at least one frame", "none")
        check_shape("frames.fragments.triangle", self.fragments.triangle, "B H W", **sizes)
        sizes |= check_shape("frames.vertices", self.vertices, "B V 3", B=sizes["B"])
        check_shape("frames.camera.focal", self.camera.focal, "B 2", B=sizes["B"])
        if self.trust is not None:
            check_shape("frames.trust", self.trust, "B H W", **sizes)
        if self.sigma_m is not None:
            check_shape("frames.sigma_m", self.sigma_m, "B V", **sizes)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __getitem__(self, index: Index) -> "Frames":
        """Return some of the frames, in the order of index."""
        return batch.rows(self, index)


@torch.no_grad()
def bake(frames: Frames, atlas: Atlas, person: Int[Tensor, "B"] | None = None) -> Texture:
    """Bake people's texture maps from photos.

    Args:
        frames: B frames, one or several of each person.
        atlas: The grid of texels, of the frames' body and on their device.
        person: (B,) the person in each frame, 0..N-1; None: all show one person.

    Returns:
        N maps of the atlas's size. Confidence is zero, and the mark `Fill.EMPTY`, where no frame shows the body. The
        order of a person's frames does not matter, and people do not affect each other.

    Raises:
        InputError: The body's vertices or the people do not fit, or a colour or vertex is not finite.
    """
    check_shape("frames.vertices", frames.vertices, "B V 3", V=len(atlas.body.template))
    check_finite("frames.pixels", frames.pixels)
    check_finite("frames.vertices", frames.vertices)
    if person is None:
        person = torch.zeros(len(frames), dtype=torch.int64, device=frames.pixels.device)
    check_shape("person", person, "B", B=len(frames))
    if int(person.min()) < 0 or len(person.unique()) <= int(person.max()):
        raise InputError("person", "numbers 0..N-1, each at least once", str(person.unique().tolist()))
    rim = rim_pixels(frames, atlas)
    step = max(1, TEXELS_AT_ONCE // max(1, atlas.inside))
    parts = [
        _sampled(frames[rows], rim[rows], atlas)
        for rows in (slice(start, start + step) for start in range(0, len(frames), step))
    ]
    color, trust = (torch.cat(each) for each in zip(*parts, strict=True))  # (B, T', 3), (B, T')
    count = int(person.max()) + 1
    if count == len(frames):  # one frame each
        order = person.argsort()
        combined, confidence = color[order], trust[order]
    else:
        combined, confidence = combine(color, trust, person, count)
    seen = (confidence > 0)[..., None]
    values = torch.cat((combined.clamp(0, 1) * seen, confidence.clamp(0, 1)[..., None], seen), -1)
    picture = atlas.spread(values)
    filled = torch.where(picture[..., 4] > 0, int(Fill.SEEN), int(Fill.EMPTY)).to(torch.uint8)
    return Texture(picture[..., :3].contiguous(), picture[..., 3].contiguous(), filled, atlas.layout)


def combine(
    color: Float[Tensor, "B T 3"], trust: Float[Tensor, "B T"], person: Int[Tensor, "B"], count: int
) -> tuple[Float[Tensor, "N T 3"], Float[Tensor, "N T"]]:
    """Combine the frames' colours by the module's formulas.

    Args:
        color: (B, T, 3) of B frames and T texels.
        trust: (B, T) 0..1.
        person: (B,) the person in each frame, 0..N-1.
        count: N.

    Returns:
        Colour (N, T, 3) and confidence (N, T).
    """

    def total(values: Tensor) -> Tensor:
        return values.new_zeros(count, *values.shape[1:]).index_add(0, person, values)

    def mean(weight: Tensor) -> Tensor:
        summed = total(torch.cat((color * weight[..., None], weight[..., None]), -1))
        return summed[..., :3] / summed[..., 3:].clamp(min=torch.finfo(color.dtype).tiny)

    combined = mean(trust)
    for _ in range(MEDIAN_PASSES):
        away = (color - combined[person]).norm(dim=-1)
        combined = mean(trust / away.clamp(min=MEDIAN_FLOOR))
    away = (color - combined[person]).norm(dim=-1)
    agreeing = total(trust / (1 + (away / SPREAD) ** 2))
    agreement = agreeing / total(trust).clamp(min=torch.finfo(color.dtype).tiny)
    missed = total(torch.log1p(-trust.clamp(max=1 - 1e-6)))
    return combined, -torch.expm1(missed) * agreement


def rim_pixels(frames: Frames, atlas: Atlas) -> Float[Tensor, "B H W"]:
    """Return each pixel's distance (B, H, W) px from the nearest outline, at least a half, at most the rim's width."""
    depth = frames.fragments.depth
    # In a small picture the depth of neighbouring pixels differs by more, without an outline.
    step = JUMP_M + 2 * depth / frames.camera.focal.amin(1)[:, None, None]
    apart = torch.nn.functional.max_pool2d(torch.stack((depth, -depth), 1), 3, 1, 1)  # farthest and nearest neighbour
    edge = ~depth.isfinite() | (apart[:, 0] - depth > step) | (depth + apart[:, 1] > step)
    widest = RIM_M + (0.0 if frames.sigma_m is None else (1 + CUT) * float(frames.sigma_m.max()))
    nearest = frames.vertices[..., 2].amin(1).clamp(min=NEAR_M)
    passes = min(LARGEST_RIM_PX, int((frames.camera.focal.amax(1) / nearest).max() * widest) + 1)
    inside = ~edge
    distance = torch.zeros_like(inside, dtype=torch.uint8)
    for _ in range(passes):
        distance = distance + inside
        inside = _shrunk(inside)
    return distance.to(depth) + 0.5


def _shrunk(inside: Bool[Tensor, "B H W"]) -> Bool[Tensor, "B H W"]:
    """Erode a mask by one pixel, diagonals included; the picture's border is no outline."""
    wide = torch.nn.functional.pad(inside, (1, 1, 1, 1), value=True)
    across = wide[..., :-2] & wide[..., 1:-1] & wide[..., 2:]
    return across[:, :-2] & across[:, 1:-1] & across[:, 2:]


def _sampled(frames: Frames, rim: Float[Tensor, "B H W"], atlas: Atlas) -> tuple[Tensor, Tensor]:
    """Return each frame's colour (B, T', 3) at each texel inside the charts, and its trust (B, T')."""
    corners, weights = atlas.corners[: atlas.inside], atlas.barycentric[: atlas.inside]
    normals = vertex_normals(frames.vertices, atlas.body.faces)
    sigma = torch.zeros_like(normals[..., :1]) if frames.sigma_m is None else frames.sigma_m[..., None]
    ridden = torch.cat((frames.vertices, normals, sigma), 2)  # (B, V, 7)
    on_texel = torch.stack([weights[:, k, None] * ridden[:, corners[:, k]] for k in range(3)]).sum(0)  # (B, T', 7)
    point, normal, sigma = on_texel.split((3, 3, 1), -1)
    sigma, depth = sigma[..., 0], point[..., 2].clamp(min=NEAR_M)
    cosine = -(point * normal).sum(-1) / (point.norm(dim=-1) * normal.norm(dim=-1)).clamp(min=1e-12)

    height, width = frames.pixels.shape[1:3]
    pixel = frames.camera.local.project(point)  # (B, T', 2)
    place = pixel / pixel.new_tensor((width, height))
    in_picture = ((place > 0) & (place < 1)).all(-1) & (point[..., 2] > NEAR_M)
    column, row = (pixel[..., axis].clamp(0, side - 1).long() for axis, side in ((0, width), (1, height)))
    flat = row * width + column
    at_pixel = torch.stack((frames.fragments.depth, rim), -1).flatten(1, 2)
    shown, rim_px = at_pixel.gather(1, flat[..., None].expand(-1, -1, 2)).unbind(-1)

    pixel_m = depth / frames.camera.focal.amin(1)[:, None]
    facing = cosine.clamp(min=GRAZING, max=1)
    slant = (1 - facing * facing).sqrt() / facing
    # Within half a pixel's diagonal the surface may recede by its slant.
    visible = in_picture & (cosine > GRAZING) & (depth <= shown + CLOSE_M + 0.71 * pixel_m * slant) & shown.isfinite()
    blur = (pixel_m / 2) ** 2 + sigma**2
    detail = (DETAIL_M * facing) ** 2
    # In a very close picture the rim has its largest width, and distances in it shrink in proportion.
    px_per_m = torch.minimum(1 / pixel_m, LARGEST_RIM_PX / (RIM_M + (1 + CUT) * sigma))
    rim_trust = ((rim_px / px_per_m - CUT * sigma) / (RIM_M + sigma)).clamp(0, 1)
    trust = visible * facing * rim_trust * detail / (detail + blur)
    # Colours between pixels; the given trust only where all four pixels around are trusted in part.
    sampled = frames.pixels if frames.trust is None else torch.cat((frames.pixels, frames.trust[..., None]), -1)
    values = sample_texture(sampled, place[:, None].to(sampled))[:, 0]
    if frames.trust is not None:
        trust = trust * values[..., 3]
    return values[..., :3], trust
