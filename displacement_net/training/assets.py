"""Assets for synthetic people, read from a folder: clothes, shoes, hair, skins and panoramas; none are shipped.

    bound vertex   x = w0 v[a] + w1 v[b] + w2 v[c] + (dx sx, dy sy, dz sz),   sx = |v[p] - v[q]|_x / d
                   from the line `x_scale p q d`

Source: MakeHuman's `.mhclo` format (makehumancommunity.org, "MHCLO file format"); Radiance's RGBE pictures, which
OpenCV reads.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from displacement_net.training.training_body import BASE_VERTICES
from refine.errors import InputError
from refine.evaluate.motion import Recordings, load_recordings, shipped_recordings

TEXTURE_PX = 256
"""Side of every texture, px; others are resized."""
PANORAMA_PX = (512, 1024)
"""Height and width panoramas are brought to, px."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Garment:
    """A mesh bound to the base mesh.

    Attributes:
        name: The folder's name.
        corners: (N, 3) base vertices, `shares` (N, 3) their shares, `offset` (N, 3) in units of `scale`.
        scale: For each axis the two base vertices and the divisor of `x_scale`, `y_scale`, `z_scale`.
        faces: (F, 3) of N; `uv` (T, 2) v down and `uv_faces` (F, 3).
        hidden: Base vertices under the cloth.
        texture: (256, 256, 4) uint8 RGBA, sRGB.
    """

    name: str
    corners: Int[np.ndarray, "N 3"]
    shares: Float[np.ndarray, "N 3"]
    offset: Float[np.ndarray, "N 3"]
    scale: tuple[tuple[int, int, float], tuple[int, int, float], tuple[int, int, float]]
    faces: Int[np.ndarray, "F 3"]
    uv: Float[np.ndarray, "T 2"]
    uv_faces: Int[np.ndarray, "F 3"]
    hidden: Int[np.ndarray, "H"]
    texture: np.ndarray


@dataclass(frozen=True, eq=False)
class Assets:
    """What people and places are made of.

    Attributes:
        outfits: Whole outfits; `shoes` and `hair` likewise. All may be empty: then clothes are made from the skin's own
            mesh.
        skins: (256, 256, 3) uint8 sRGB each, on the body's UV.
        panoramas: (512, 1024, 3) float32 linear radiance each.
        recordings: Recorded poses.
    """

    outfits: tuple[Garment, ...]
    shoes: tuple[Garment, ...]
    hair: tuple[Garment, ...]
    skins: tuple[np.ndarray, ...]
    panoramas: tuple[np.ndarray, ...]
    recordings: Recordings


def load_assets(folder: Path | None) -> Assets:
    """Read a folder of assets.

    Args:
        folder: It holds `makehuman/clothes`, `makehuman/hair`, `makehuman/skins`, `hdri` and `motion/cmu_poses.npz`.
            None, or a folder that does not exist: procedural stand-ins, and a line in the log says so.

    Raises:
        InputError: The folder is there and incomplete, or a file in it cannot be read.
    """
    if folder is None or not folder.exists():
        log.warning("No assets at %s: clothes, skins and places are procedural. People will look simpler.", folder)
        return procedural_assets()
    needed = ("makehuman/clothes", "makehuman/hair", "makehuman/skins", "hdri", "motion/cmu_poses.npz")
    absent = [name for name in needed if not (folder / name).exists()]
    if absent:
        raise InputError("assets", f"a folder with {', '.join(needed)}", f"{folder} without {', '.join(absent)}")
    clothes = [read_garment(path) for path in _folders(folder / "makehuman/clothes")]
    skins = sorted((folder / "makehuman/skins").glob("*.png"))
    panoramas = sorted((folder / "hdri").glob("*.hdr"))
    hair = tuple(read_garment(path) for path in _folders(folder / "makehuman/hair"))
    for name, found in (("clothes", clothes), ("hair", hair), ("skins", skins), ("hdri", panoramas)):
        if not found:
            raise InputError("assets", f"at least one file in {name}", "none", f"Look into {folder}.")
    return Assets(
        tuple(garment for garment in clothes if not garment.name.startswith("shoes")),
        tuple(garment for garment in clothes if garment.name.startswith("shoes")),
        hair,
        tuple(read_texture(path)[..., :3] for path in skins),
        tuple(_panorama(path) for path in panoramas),
        load_recordings(folder / "motion/cmu_poses.npz"),
    )


def read_garment(folder: Path) -> Garment:
    """Read one garment: the folder's `.mhclo`, the `.obj` and `.mhmat` it names, and the material's diffuse texture.

    Raises:
        InputError: A file is missing or not of its format.
    """
    binding = folder / f"{folder.name}.mhclo"
    try:
        words, rows, hidden = _mhclo(binding)
        vertices, faces, uv, uv_faces = _obj(folder / words["obj_file"][0])
        material = (folder / words["material"][0]).read_text(errors="replace")
        named = [line.split()[1] for line in material.splitlines() if line.startswith("diffuseTexture")]
        texture = read_texture(folder / named[0])
        scales = [(int(p), int(q), float(d)) for p, q, d in (words[f"{axis}_scale"] for axis in "xyz")]
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise InputError("assets", f"a garment in {folder.name}", f"{type(error).__name__}: {error}") from error
    if len(rows) != vertices:
        raise InputError("assets", f"{vertices} bound vertices in {binding.name}", str(len(rows)))
    bound = np.array(rows)
    if bound[:, :3].min() < 0 or bound[:, :3].max() >= BASE_VERTICES:
        raise InputError("assets", f"indices of {BASE_VERTICES} base vertices in {binding.name}", "others")
    return Garment(
        folder.name, bound[:, :3].astype(np.int64), bound[:, 3:6], bound[:, 6:9], (scales[0], scales[1], scales[2]),
        faces, uv, uv_faces, np.array(sorted(hidden), np.int64), texture,
    )  # fmt: skip


def read_texture(path: Path) -> np.ndarray:
    """Read a picture as (256, 256, 4) uint8 RGBA.

    Raises:
        InputError: It cannot be read.
    """
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3:
        raise InputError("assets", "a colour picture OpenCV reads", str(path))
    picture = cv2.resize(picture, (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_AREA)
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(picture, code), np.uint8)


def procedural_assets(count: int = 8) -> Assets:
    """Return stand-ins made of noise: skins of plain colours, panoramas of a sky, a lamp and blotches."""
    rng = np.random.default_rng(0)
    tones = np.linspace(0.25, 0.85, count)[:, None] * (1.0, 0.78, 0.66)
    skins = []
    for tone in tones:
        grain = 1 + 0.08 * _blotches(rng, (TEXTURE_PX, TEXTURE_PX), 40)
        skins.append((255 * (tone * grain[..., None]).clip(0, 1)).astype(np.uint8))
    panoramas = []
    for _ in range(count):
        height, width = PANORAMA_PX
        up = np.linspace(1, -1, height)[:, None, None]
        color = np.stack([_blotches(rng, PANORAMA_PX, cells) for cells in (8, 16, 48)], -1) @ rng.uniform(
            -0.3, 0.3, (3, 3)
        )
        plain = rng.uniform(0.3, 1.0, 3) * (0.6 + 0.4 * up) + color
        row, column = rng.integers(height // 3), rng.integers(width)
        sky = np.broadcast_to(plain, (height, width, 3)).clip(0.02).astype(np.float32).copy()
        sky[row : row + 8, column : column + 8] += rng.uniform(50, 800)
        panoramas.append(sky)
    return Assets((), (), (), tuple(skins), tuple(panoramas), shipped_recordings())


def _blotches(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise of unit size with about `cells` blotches along the longer side."""
    coarse = torch.from_numpy(rng.standard_normal((1, 1, max(2, cells * size[0] // size[1]), cells)))
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
    return np.asarray(fine[0, 0].numpy())


def _folders(path: Path) -> list[Path]:
    """The folders in a folder, by name."""
    return sorted(each for each in path.iterdir() if each.is_dir())


def _panorama(path: Path) -> np.ndarray:
    """Read linear radiance (512, 1024, 3)."""
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError("assets", "a panorama OpenCV reads", str(path))
    resized = cv2.resize(picture.astype(np.float32), PANORAMA_PX[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(np.nan_to_num(resized[..., ::-1].clip(0, None)), np.float32)


def _mhclo(path: Path) -> tuple[dict[str, list[str]], list[list[float]], set[int]]:
    """Return settings by name, one row (a, b, c, w0, w1, w2, dx, dy, dz) a vertex, and the base vertices to hide."""
    words: dict[str, list[str]] = {}
    rows: list[list[float]] = []
    hidden: set[int] = set()
    section = "settings"
    for line in path.read_text(errors="replace").splitlines():
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        if parts[0] in ("verts", "delete_verts"):
            section = parts[0]
        elif section == "delete_verts":
            hidden |= _ranges(parts)
        elif section == "verts" and (parts[0].lstrip("-").isdigit()):
            numbers = [float(part) for part in parts]
            rows.append(numbers[:9] if len(numbers) >= 9 else [numbers[0]] * 3 + [1.0] + [0.0] * 5)
        else:
            words[parts[0]] = parts[1:]
    return words, rows, hidden


def _ranges(parts: list[str]) -> set[int]:
    """Return the numbers of "3 - 7 12"."""
    found: set[int] = set()
    for index, part in enumerate(parts):
        if part == "-":
            found |= set(range(int(parts[index - 1]), int(parts[index + 1]) + 1))
        else:
            found.add(int(part))
    return found


def _obj(path: Path) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return the number of vertices, triangles (F, 3), uv (T, 2) with v down, and triangles of uv (F, 3)."""
    vertices, uv, faces, uv_faces = 0, [], [], []
    for line in path.read_text(errors="replace").splitlines():
        parts = line.split()
        if not parts:
            continue
        if parts[0] == "v":
            vertices += 1
        elif parts[0] == "vt":
            uv.append((float(parts[1]), 1 - float(parts[2])))
        elif parts[0] == "f":
            corner = [[int(number) - 1 for number in part.split("/")[:2]] for part in parts[1:]]
            for second in range(1, len(corner) - 1):
                triangle = (corner[0], corner[second], corner[second + 1])
                faces.append([each[0] for each in triangle])
                uv_faces.append([each[1] for each in triangle])
    return vertices, np.array(faces), np.array(uv, np.float64).reshape(-1, 2), np.array(uv_faces)
