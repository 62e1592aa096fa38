"""What may be known of a person's looks at refinement: nothing, part means, the same photo, other frames, old clothes.

    texture(pixel) = sum_i b_i colour[vertex i],    confidence likewise

Colours are per vertex: at 13,718 vertices a crop of 256 px sees one in two pixels. A texture baked from the misaligned
estimate of the same photo shows that photo at the rendered pixel (or at the pixel where an earlier round's estimate
stood): copying it would mean "no displacement".

Source: the cases are those the library meets (`refine.render`'s textures); the way they are imitated is ours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.colors import Bank, Colors, albedo
from displacement_net.training.lighting import to_srgb
from displacement_net.training.wardrobe import Look
from refine.body import SkinnedBody
from refine.render import Fragments, shade

TEXTURE_CASES = ("none", "part means", "same photo", "other frames", "stale")
SHARES = (0.34, 0.1, 0.18, 0.28, 0.1)
"""How often each case is drawn."""


@dataclass(frozen=True, eq=False)
class Worn:
    """What covers the V vertices of the built-in body in each of L looks.

    Attributes:
        material: (L, V) what that is made of.
        uv: (L, V, 2) its place in the material's texture.
        place: (L, V, 3) m, its place on the resting person.
        textures: (L, 5) index of each material's texture, -1: plain.
    """

    material: Int[Tensor, "L V"]
    uv: Float[Tensor, "L V 2"]
    place: Float[Tensor, "L V 3"]
    textures: Int[Tensor, "L 5"]


def worn_by(looks: tuple[Look, ...]) -> Worn:
    """Gather what covers the body in each look."""
    return Worn(
        torch.stack([look.worn_material for look in looks]),
        torch.stack([look.piece.uv[look.worn] for look in looks]),
        torch.stack([look.piece.template[look.worn] for look in looks]),
        torch.tensor([(-1, *look.textures) for look in looks], device=looks[0].worn.device),
    )


def draw_cases(count: int, rng: np.random.Generator, shares: tuple[float, ...] = SHARES) -> np.ndarray:
    """Draw (B,) indices into `TEXTURE_CASES`, each as often as its share says."""
    return rng.choice(len(TEXTURE_CASES), count, p=shares)


def seen_texture(
    body: SkinnedBody,
    worn: Worn,
    look: np.ndarray,
    colors: Colors,
    bank: Bank,
    fragments: Fragments,
    image: Float[Tensor, "B 3 S S"],
    offset: Float[Tensor, "B S S 2"],
    case: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Float[Tensor, "B 3 S S"], Float[Tensor, "B 1 S S"]]:
    """Render estimates with what is known of their looks.

    Args:
        body: The estimated model.
        worn: What covers the body's vertices in each look.
        look: (B,) which look each wears.
        colors: How it is coloured.
        bank: Its textures.
        fragments: (B, S, S) what the pixels see of the estimates.
        image: (B, 3, S, S) the photo.
        offset: (B, S, S, 2) px, true displacement.
        case: (B,) indices into `TEXTURE_CASES`.
        rng: Draws views, light and errors.

    Returns:
        texture (B, 3, S, S) and confidence (B, 1, S, S).
    """
    texture, confidence = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    seen = fragments.triangle >= 0
    for name, cause in (("part means", _part_means), ("same photo", _same_photo)):
        rows = _rows(case, name, image)
        if len(rows):
            told = cause(body, fragments, image, offset, rows, rng)
            texture[rows], confidence[rows] = told
    rows = torch.cat((_rows(case, "other frames", image), _rows(case, "stale", image)))
    if len(rows):
        texture[rows], confidence[rows] = _other_frames(
            body, worn, look, colors, bank, fragments, image, rows, case, rng
        )
    known = seen[:, None] & (confidence > 0.02)
    return torch.where(known, texture.clamp(0, 1), 0.0), torch.where(known, confidence, 0.0)


def _rows(case: np.ndarray, name: str, like: Tensor) -> Tensor:
    """Indices of the samples of one case."""
    return torch.from_numpy(np.flatnonzero(case == TEXTURE_CASES.index(name))).to(like.device)


def _part_means(
    body: SkinnedBody,
    fragments: Fragments,
    image: Tensor,
    offset: Tensor,
    rows: Tensor,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Each body part in the mean colour of the photo's pixels under it, as the (misaligned) estimate lies."""
    triangle = fragments.triangle[rows]
    part = body.vertex_parts[body.faces[triangle.clamp(min=0), 0]]
    parts = len(body.part_names)
    cell = torch.arange(len(rows), device=part.device)[:, None, None] * parts + part  # (R, S, S)
    weight = (triangle >= 0).to(image).flatten()
    pixels = image[rows].permute(0, 2, 3, 1).reshape(-1, 3)
    total = image.new_zeros(len(rows) * parts, 4)
    total.index_add_(0, cell.flatten(), torch.cat((pixels, torch.ones_like(pixels[:, :1])), 1) * weight[:, None])
    mean = (total[:, :3] / total[:, 3:].clamp(min=1))[cell]
    sure = image.new_full((len(rows), 1, *triangle.shape[1:]), float(rng.uniform(0.15, 0.35)))
    return mean.permute(0, 3, 1, 2), sure


def _same_photo(
    body: SkinnedBody,
    fragments: Fragments,
    image: Tensor,
    offset: Tensor,
    rows: Tensor,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """The photo itself at the rendered pixel, or at the pixel of an estimate part of the way to the truth."""
    size = image.shape[-1]
    along = np.where(rng.random(len(rows)) < 0.6, 0.0, rng.random(len(rows)))
    moved = offset[rows] * torch.from_numpy(along).to(offset)[:, None, None, None]
    line = torch.arange(size).to(image) + 0.5
    center = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    grid = 2 * (center + moved) / size - 1
    texture = torch.nn.functional.grid_sample(image[rows], grid, align_corners=False, padding_mode="border")
    sure = torch.from_numpy(rng.uniform(0.3, 0.9, len(rows))).to(image)[:, None, None, None]
    return texture, sure * torch.ones_like(texture[:, :1])


def _other_frames(
    body: SkinnedBody, worn: Worn, look: np.ndarray, colors: Colors, bank: Bank, fragments: Fragments,
    image: Tensor, rows: Tensor, case: np.ndarray, rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Vertex colours under another light, smeared by misalignment, from a few sides only; stale: somebody else's."""
    normals = shade.vertex_normals(body.template[None], body.faces)[0]
    chosen = rows.cpu().numpy()
    stale = case[chosen] == TEXTURE_CASES.index("stale")
    who = np.where(stale, rng.integers(len(look), size=len(chosen)), chosen)
    wears = np.where(stale, rng.integers(len(worn.material), size=len(chosen)), look[chosen])
    linear = _vertex_colors(worn, colors, bank, *(torch.from_numpy(each).to(rows.device) for each in (who, wears)))

    def drawn(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(image)

    count = len(rows)
    lean = drawn(rng.standard_normal((count, 3, 1))) * 0.5
    light = (1 + (normals @ lean)).clamp(0.25, 2.0) * drawn(np.exp(0.3 * rng.standard_normal((count, 1, 1)) - 0.3))
    tinted = linear * light * drawn(np.exp(0.08 * rng.standard_normal((count, 1, 3))))
    views = rng.uniform(-np.pi, np.pi, (count, 4))
    views[:, 0] *= 0.3  # at least one from the front
    used = rng.random((count, 4)) < (1.0, 0.6, 0.4, 0.3)
    facing = np.stack((np.sin(views), 0.1 * rng.standard_normal(views.shape), np.cos(views)), -1)
    seen = (normals @ drawn(facing).mT).clamp(min=0) * drawn(used.astype(np.float64))[:, None]
    sure = seen.amax(-1, keepdim=True) * drawn(rng.uniform(0.4, 1.0, (count, 1, 1)))
    values = torch.cat((to_srgb(tinted.clamp(0, 1)), sure), -1)
    part = Fragments(fragments.triangle[rows], fragments.barycentric[rows], fragments.depth[rows])
    shown = shade.interpolate(part, body.faces, values).permute(0, 3, 1, 2)
    reach = int(rng.choice((0, 1, 2)))  # misaligned frames smear
    smooth = torch.nn.functional.avg_pool2d(shown, 2 * reach + 1, 1, reach, count_include_pad=False)
    weight = torch.nn.functional.avg_pool2d(
        (part.triangle >= 0).to(shown)[:, None], 2 * reach + 1, 1, reach, count_include_pad=False
    )
    return smooth[:, :3] / weight.clamp(min=1e-3), shown[:, 3:]


def _vertex_colors(worn: Worn, colors: Colors, bank: Bank, who: Tensor, look: Tensor) -> Tensor:
    """Linear colours (R, V, 3) of the built-in body's vertices, of people (R,) in looks (R,)."""
    material, vertices = worn.material[look], worn.material.shape[1]
    texture = worn.textures[look].gather(1, material)
    owner = who[:, None].expand(-1, vertices)
    flat = [each.flatten(0, 1) for each in (owner, material, texture, worn.uv[look], worn.place[look])]
    return albedo(bank, colors, *flat)[0].unflatten(0, (-1, vertices))
