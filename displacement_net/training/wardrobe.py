"""Dressed people: looks made of the skin (what cloth hides removed), garments bound to the base mesh, shoes and hair.

    garment of the skin's own mesh   x = skin vertex + (thickness + looseness * smooth field) * normal
    skirt                            a tube around the base mesh's skirt helper, cut at any length, flared

Source: MakeHuman's base mesh and `.mhclo` files (see `assets`); the garments of the skin's own mesh and the tube are
ours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from displacement_net.training.assets import Assets, Garment
from displacement_net.training.training_body import Piece, TrainingBody
from refine.render import shade

SKIN, CLOTH, SHOES, EXTRA, HAIR = range(5)
"""Materials; EXTRA is a second garment of its own colour (trousers, a skirt)."""
SKIRT_HELPER = slice(18002, 18722)
"""The base mesh's skirt helper: a tube from waist to ankles."""
ROWS, COLUMNS = 14, 36
"""Vertices of a skirt along and around."""
BARE, OF_SKIN = 0.04, 0.45
"""Shares of looks that wear next to nothing, and of looks whose clothes are made of the skin's own mesh."""
WITH_SKIRT, WITH_HAIR, WITH_SHOES = 0.3, 0.85, 0.85
"""Shares of looks with a skirt, coat tails or a dress, with hair, with shoes."""
THICKNESS_M = 0.006
"""Cloth lies this far off the skin, m."""


@dataclass(frozen=True, eq=False)
class Look:
    """What one or more people wear; colours are another matter.

    Attributes:
        piece: Skin and garments in one mesh.
        material: (F,) material of each face.
        cloth: (N,) one where a vertex may be inflated, zero on skin and shoes.
        hair: The hair's mesh, or None.
        textures: Index of the textures of CLOTH, SHOES, EXTRA and HAIR in the wardrobe's bank; -1: plain.
        worn: (W, ) for each vertex of the built-in body the vertex of `piece` that covers it, and `worn_material` (W,)
            of which material it is.
    """

    piece: Piece
    material: Int[Tensor, "F"]
    cloth: Float[Tensor, "N"]
    hair: Piece | None
    textures: tuple[int, int, int, int]
    worn: Int[Tensor, "W"]
    worn_material: Int[Tensor, "W"]

    def to(self, device: torch.device | str) -> "Look":
        """Return the same look on another device."""
        hair = None if self.hair is None else self.hair.to(device)
        material, cloth, worn, of = (
            part.to(device) for part in (self.material, self.cloth, self.worn, self.worn_material)
        )
        return Look(self.piece.to(device), material, cloth, hair, self.textures, worn, of)


@dataclass(frozen=True)
class _Part:
    """A piece and the material it is made of."""

    piece: Piece
    material: int
    inflates: bool


def draw_looks(training: TrainingBody, assets: Assets, count: int, rng: np.random.Generator) -> tuple[Look, ...]:
    """Dress people.

    Args:
        training: The base mesh.
        assets: Clothes, shoes and hair.
        count: How many looks.
        rng: Draws what goes with what.

    Returns:
        The looks. Texture indices count through outfits, shoes and hair in this order.
    """
    return tuple(_draw_look(training, assets, rng) for _ in range(count))


def _draw_look(training: TrainingBody, assets: Assets, rng: np.random.Generator) -> Look:
    """Draw one look."""
    parts: list[_Part] = []
    hidden: set[int] = set()
    textures = [-1, -1, -1, -1]
    kind = rng.random()
    if kind >= BARE + OF_SKIN and assets.outfits:
        index = int(rng.integers(len(assets.outfits)))
        textures[0] = index
        parts.append(_Part(bound_piece(training, assets.outfits[index]), CLOTH, True))
        hidden |= set(assets.outfits[index].hidden.tolist())
    skin = skin_piece(training, hidden)
    if BARE <= kind < BARE + OF_SKIN or (kind >= BARE and not assets.outfits):
        parts += _clothes_of_skin(training, skin, rng)
    elif kind < BARE:
        parts.append(_Part(_layer(skin, _bottom(training, skin, 0.9), THICKNESS_M), EXTRA, False))
    if rng.random() < WITH_SKIRT:
        parts.append(_Part(_skirt(training, rng), EXTRA if rng.random() < 0.6 else CLOTH, True))
    if assets.shoes and rng.random() < WITH_SHOES:
        index = int(rng.integers(len(assets.shoes)))
        textures[1] = len(assets.outfits) + index
        parts.append(_Part(bound_piece(training, assets.shoes[index]), SHOES, False))
        skin = skin_piece(training, hidden | set(assets.shoes[index].hidden.tolist()))
    hair = None
    if assets.hair and rng.random() < WITH_HAIR:
        index = int(rng.integers(len(assets.hair)))
        textures[3] = len(assets.outfits) + len(assets.shoes) + index
        hair = bound_piece(training, assets.hair[index])
    return _join(training, skin, parts, hair, (textures[0], textures[1], textures[2], textures[3]))


def skin_piece(training: TrainingBody, hidden: set[int]) -> Piece:
    """Return the built-in body's surface without the faces whose corners are all hidden.

    Args:
        training: The base mesh.
        hidden: Base vertices under cloth.
    """
    body = training.body
    under = torch.zeros(len(training.template), dtype=torch.bool)
    under[list(hidden)] = True
    kept = ~under[training.base_vertices][body.faces].all(1)
    return _piece(
        (body.template, body.shape_basis, body.dense_weights),
        shade.vertex_normals(body.template[None], body.faces)[0],
        body.faces[kept],
        body.uv,
        body.uv_faces[kept],
    )


def bound_piece(training: TrainingBody, garment: Garment) -> Piece:
    """Return a garment bound to the base mesh; MakeHuman's axes are those of the rest pose (x left, y up, z front)."""
    sizes = [
        abs(float(training.template[p, axis] - training.template[q, axis])) / d
        for axis, (p, q, d) in enumerate(garment.scale)
    ]
    offset = torch.from_numpy(garment.offset * sizes).float()
    corners, shares = torch.from_numpy(garment.corners), torch.from_numpy(garment.shares).float()
    bound = training.bound(corners, shares, offset)
    faces = torch.from_numpy(garment.faces)
    normals = shade.vertex_normals(bound[0][None], faces)[0]
    return _piece(bound, normals, faces, torch.from_numpy(garment.uv).float(), torch.from_numpy(garment.uv_faces))


def _piece(bound: tuple[Tensor, Tensor, Tensor], normals: Tensor, faces: Tensor, uv: Tensor, uv_faces: Tensor) -> Piece:
    """Return a piece whose vertices are split along seams; vertices no face has are left out."""
    pair, index = torch.unique(faces.flatten() * len(uv) + uv_faces.flatten(), return_inverse=True)
    vertex, texel = pair // len(uv), pair % len(uv)
    template, basis, weights = (each[vertex] for each in bound)
    return Piece(template, basis, weights, normals[vertex], index.reshape(-1, 3), uv[texel])


def _layer(skin: Piece, chosen: Tensor, thickness: float) -> Piece:
    """Return a garment made of some faces (F,) of the skin, lifted off it; its UV are places of the front view."""
    faces = skin.faces[chosen]
    used, index = torch.unique(faces, return_inverse=True)
    template = skin.template[used] + thickness * skin.normals[used]
    return Piece(
        template, skin.shape_basis[used], skin.weights[used], skin.normals[used], index, 0.5 + 0.5 * template[:, :2]
    )


def _joint(training: TrainingBody, name: str) -> Tensor:
    """Where a joint of the mean body lies, (3,) m."""
    return training.body.joint_template[training.body.joint_names.index(name)]


def _bottom(training: TrainingBody, skin: Piece, end: float) -> Tensor:
    """Faces (F,) of trousers; `end` 0..3: at hip, knee, ankle and beyond."""
    middle = skin.template[skin.faces].mean(1)
    levels = [float(_joint(training, name)[1]) for name in ("left_hip", "left_knee", "left_ankle")]
    hem = np.interp(end, (0.0, 1.0, 2.0), (levels[0], levels[1], levels[2] + 0.01)) - 0.02
    return (middle[:, 1] < levels[0] + 0.09) & (middle[:, 1] > hem)


def _top(training: TrainingBody, skin: Piece, sleeve: float, hem: float, neck: float) -> Tensor:
    """Faces (F,) of a shirt; `sleeve` 0..2: to shoulder, elbow, wrist; `hem` m above hips; `neck` m below the neck."""
    middle = skin.template[skin.faces].mean(1)
    x, y, z = middle[:, 0].abs(), middle[:, 1], middle[:, 2]
    ends = [float(_joint(training, name)[0]) for name in ("left_shoulder", "left_elbow", "left_wrist")]
    cuff = np.interp(sleeve, (-0.3, 0.0, 1.0, 2.0), (ends[0] - 0.05, ends[0] + 0.02, ends[1], ends[2]))
    throat = _joint(training, "neck")
    collar = torch.hypot(x, 1.1 * (y - throat[1] - 0.04)) - neck + 0.25 * (z - throat[2]).clamp(max=0)
    return (x < cuff) & (y > _joint(training, "left_hip")[1] + hem) & (collar > 0) & (y < throat[1] + 0.06)


def _clothes_of_skin(training: TrainingBody, skin: Piece, rng: np.random.Generator) -> list[_Part]:
    """Trousers or shorts and a shirt or jumper of the skin's own mesh; sometimes one overall."""
    legs = rng.choice((0.35, 0.8, 1.5, 2.0), p=(0.12, 0.23, 0.1, 0.55)) + 0.1 * rng.standard_normal()
    sleeve = rng.choice((-0.2, 0.5, 1.2, 2.0), p=(0.15, 0.4, 0.1, 0.35)) + 0.08 * rng.standard_normal()
    top = _top(training, skin, float(sleeve), float(rng.uniform(-0.12, 0.08)), float(rng.uniform(0.09, 0.14)))
    overall = rng.random() < 0.12
    thick = float(rng.uniform(1.0, 3.0)) * THICKNESS_M
    return [
        _Part(_layer(skin, _bottom(training, skin, float(legs)), THICKNESS_M), CLOTH if overall else EXTRA, True),
        _Part(_layer(skin, top, thick), CLOTH, True),
    ]


def _skirt(training: TrainingBody, rng: np.random.Generator) -> Piece:
    """A tube around the skirt helper, from the waist down to any length, wider below by a drawn flare."""
    from scipy.spatial import cKDTree

    helper = training.template[SKIRT_HELPER].double().numpy()
    top, bottom = helper[:, 1].max(), helper[:, 1].min()
    length = rng.uniform(0.3, 1.0) * (top - bottom)
    angle = np.arctan2(helper[:, 0], helper[:, 2] - helper[:, 2].mean())
    circle = 1.0 if rng.random() < 0.7 else rng.uniform(0.75, 0.95)  # below 1: open in front, as a coat
    columns = np.linspace(-np.pi, np.pi, COLUMNS + 1) * circle + np.pi
    rows = np.linspace(0, 1, ROWS)
    turned = np.concatenate([angle - 2 * np.pi, angle, angle + 2 * np.pi])
    tree = cKDTree(np.stack((0.3 * turned, np.tile(helper[:, 1], 3)), 1))
    across, down = np.meshgrid((columns + np.pi) % (2 * np.pi) - np.pi, top - rows * length)
    distance, near = tree.query(np.stack((0.3 * across.ravel(), down.ravel()), 1), k=3)
    shares = np.asarray(1 / (np.asarray(distance) + 1e-3) ** 2)
    shares /= shares.sum(1, keepdims=True)
    corners = np.asarray(near) % len(helper)
    place = (shares[..., None] * helper[corners]).sum(1)
    flare = rng.uniform(0.0, 0.16) * np.repeat(rows, COLUMNS + 1) ** 1.3
    pleats = 1 + 0.25 * np.sin(rng.integers(6, 14) * across.ravel())
    outward = np.stack((np.sin(across.ravel()), 0 * across.ravel(), np.cos(across.ravel())), 1)
    wanted = place + (0.008 + flare * pleats)[:, None] * outward
    wanted[:, 1] = down.ravel()
    grid = np.arange(ROWS * (COLUMNS + 1)).reshape(ROWS, COLUMNS + 1)
    a, b, c, d = (each.ravel() for each in (grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]))
    faces = torch.from_numpy(np.concatenate((np.stack((a, c, b), 1), np.stack((a, d, c), 1))))
    shares_t = torch.from_numpy(shares).float()
    corners_t = torch.from_numpy(corners) + SKIRT_HELPER.start
    _, basis, weights = training.bound(corners_t, shares_t, torch.zeros(len(wanted), 3))
    template = torch.from_numpy(wanted).float()
    normals = torch.from_numpy(outward).float()
    across, down = (columns / (2 * np.pi))[None].repeat(ROWS, 0), (rows * length)[:, None].repeat(COLUMNS + 1, 1)
    uv = torch.from_numpy(np.stack((3 * across, down), -1))
    return Piece(template, basis, weights, normals, faces, uv.reshape(-1, 2).float())


def _join(
    training: TrainingBody, skin: Piece, parts: list[_Part], hair: Piece | None, textures: tuple[int, int, int, int]
) -> Look:
    """Put the pieces into one mesh, and find which vertex of it covers each vertex of the body."""
    from scipy.spatial import cKDTree

    every = [_Part(skin, SKIN, False), *parts]
    pieces = [part.piece for part in every]
    starts = np.cumsum([0] + [len(piece.template) for piece in pieces])
    joined = Piece(
        torch.cat([piece.template for piece in pieces]),
        torch.cat([piece.shape_basis for piece in pieces]),
        torch.cat([piece.weights for piece in pieces]),
        torch.cat([piece.normals for piece in pieces]),
        torch.cat([piece.faces + int(start) for piece, start in zip(pieces, starts, strict=False)]),
        torch.cat([piece.uv for piece in pieces]),
    )
    material = torch.cat([torch.full((len(part.piece.faces),), part.material) for part in every])
    of_vertex = torch.cat([torch.full((len(part.piece.template),), part.material) for part in every])
    cloth = torch.cat([torch.full((len(part.piece.template),), float(part.inflates)) for part in every])
    # The outermost vertex near the place a few centimetres off the skin.
    body = training.body
    off = body.template + 0.02 * shade.vertex_normals(body.template[None], body.faces)[0]
    worn = torch.from_numpy(cKDTree(joined.template.numpy()).query(off.numpy())[1]).long()
    return Look(joined, material, cloth, hair, textures, worn, of_vertex[worn])
