"""A room to stand in: planks, a wall with a panel, a picture and a window, a few boxes, shadows on the floor.

    ray d of a pixel, level frame (y up, camera at the origin):   floor  t = -height / d_y,   wall  t = -distance / d_z
    shadow(floor point) = 1 - blur(body seen from the lamp)

Source: pinhole rays: Hartley and Zisserman, sec. 6.1; projected shadows: Blinn, Me and my (fake) shadow, IEEE CG&A
8(1), 1988.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Image = Float[np.ndarray, "H W 3"]

SUN = np.array([0.55, 1.0, 0.45]) / np.linalg.norm([0.55, 1.0, 0.45])
"""Where the light comes from, level frame: from above, the viewer's right and in front of the person."""
CELL_M = 0.01
"""Side of a cell of the shadow map, m."""
SHADOW_HALF_M = 2.0
"""Half the side of the shadow map, m."""


@dataclass(frozen=True)
class Room:
    """A room's colours (RGB, linear) and measures (m)."""

    wall: tuple[float, float, float]
    panel: tuple[float, float, float]
    floor: tuple[float, float, float]
    behind: float
    """From the person to the wall."""
    seed: int
    """Of planks, boxes and the picture."""


ROOMS = (
    Room((0.50, 0.52, 0.47), (0.30, 0.36, 0.37), (0.36, 0.22, 0.12), 1.6, 0),
    Room((0.58, 0.50, 0.40), (0.42, 0.28, 0.18), (0.22, 0.19, 0.17), 2.0, 1),
    Room((0.36, 0.43, 0.52), (0.60, 0.60, 0.58), (0.42, 0.30, 0.19), 1.8, 2),
    Room((0.55, 0.42, 0.36), (0.30, 0.20, 0.18), (0.30, 0.26, 0.20), 2.3, 3),
)
"""Used in turn. Made up."""


def background(
    room: Room,
    ray: Float[np.ndarray, "H W 3"],
    points: Float[np.ndarray, "N 3"],
) -> Image:
    """Paint the room as the camera sees it.

    Args:
        room: Colours and measures.
        ray: (H, W, 3) direction of each pixel, level frame, x to the right, y up, z towards the camera.
        points: (N, 3) m, the person's surface in that frame, the camera at the origin; says where the floor is and
            casts the shadow.

    Returns:
        (H, W, 3) RGB, linear.
    """
    height = float(points[:, 1].min())  # of the floor, below the camera
    wall = float(points[:, 2].mean()) - room.behind
    with np.errstate(divide="ignore", invalid="ignore"):
        to_floor = np.where(ray[..., 1] < 0, height / ray[..., 1], np.inf)
        to_wall = np.where(ray[..., 2] < 0, wall / ray[..., 2], np.inf)
    on_floor = to_floor < to_wall
    hit = ray * np.where(on_floor, to_floor, to_wall)[..., None]
    x, y, z = hit[..., 0], hit[..., 1] - height, hit[..., 2]
    picture = np.where(on_floor[..., None], _floor(room, x, z), _wall(room, x, y))
    corner = np.exp(-np.where(on_floor, z - wall, y) / 0.25)  # the dark line where floor and wall meet
    picture = picture * (1 - 0.35 * corner)[..., None]
    shade = np.where(on_floor, _shadow(points, height, x, z), 1.0)
    picture = picture * (0.30 + 0.70 * shade)[..., None]
    return _boxes(room, picture, ray, height, wall)


def _floor(room: Room, x: np.ndarray, z: np.ndarray) -> Image:
    """Planks that run towards the camera, each a little different, with joints and grain."""
    plank = np.floor(x / 0.16)
    end = np.floor(z / 1.1 + 0.37 * plank)
    tone = 0.80 + 0.4 * _noise(plank, end, room.seed)
    grain = 1 + 0.05 * np.sin(70 * x + 3 * np.sin(5 * z + plank)) + 0.03 * np.sin(260 * x + 11 * z)
    edge = np.minimum(np.abs((x / 0.16) % 1 - 0.5), 0.5)
    joint = np.clip((0.5 - edge) * 0.16 / 0.004, 0.25, 1)
    return np.array(room.floor) * (tone * grain * joint)[..., None]


def _wall(room: Room, x: np.ndarray, y: np.ndarray) -> Image:
    """A plain wall above a panel, a picture on one side and a window on the other."""
    fade = 0.78 + 0.16 * np.clip(y, 0, 2.5) + 0.05 * np.sin(1.7 * x + room.seed)
    color = np.array(room.wall) * (fade * (1 + 0.015 * np.sin(37 * x) * np.sin(41 * y)))[..., None]
    board = np.array(room.panel) * (0.9 + 0.1 * np.sign(np.sin(np.pi * x / 0.22)) + 0.06 * y)[..., None]
    color = np.where((y < 0.95)[..., None], board, color)
    color = np.where(((y > 0.93) & (y < 0.99))[..., None], 0.6 * np.array(room.panel), color)
    color = np.where((y < 0.12)[..., None], 0.75 * np.array([0.7, 0.68, 0.64]), color)
    side = 1 if room.seed % 2 else -1
    u, v = (x - side * 1.0) / 0.42, (y - 1.65) / 0.33  # the picture
    frame, inside = np.maximum(np.abs(u), np.abs(v)) < 1, np.maximum(np.abs(u) * 1.0, np.abs(v)) < 0.88
    hills = np.where(
        v < 0.35 * np.sin(2.5 * u + room.seed) - 0.15,
        0.5 * np.array([0.2, 0.5, 0.25])[:, None, None],
        np.array([0.5, 0.65, 0.8])[:, None, None],
    )
    hills = np.where((u - 0.4) ** 2 + (v - 0.45) ** 2 < 0.05, np.array([0.95, 0.75, 0.3])[:, None, None], hills)
    color = np.where(frame[..., None], np.array([0.12, 0.07, 0.04]), color)
    color = np.where(inside[..., None], np.moveaxis(hills, 0, -1), color)
    u, v = (x + side * 1.25) / 0.48, (y - 1.75) / 0.62  # the window
    frame, inside = np.maximum(np.abs(u), np.abs(v)) < 1.06, np.maximum(np.abs(u), np.abs(v)) < 1
    inside &= (np.abs(u) > 0.04) & (np.abs(v) > 0.03)
    color = np.where(frame[..., None], np.array([0.80, 0.79, 0.76]), color)
    sky = np.array([0.55, 0.72, 0.95]) + 0.25 * np.clip(np.sin(3 * u + 2) * np.cos(4 * v), 0, 1)[..., None]
    return np.where(inside[..., None], np.clip(sky + 0.15 * v[..., None], 0, 1.2), color)


def _boxes(room: Room, picture: Image, ray: np.ndarray, height: float, wall: float) -> Image:
    """Two boxes and a ball against the wall, painted from the far one to the near one."""
    rng = np.random.default_rng(room.seed)
    for side in (-1, 1):
        size = rng.uniform((0.28, 0.25, 0.25), (0.45, 0.6, 0.4))
        low = np.array([side * rng.uniform(0.75, 1.05) - size[0] / 2, height, wall + 0.05])
        color = rng.uniform(0.08, 0.55, 3)
        near, normal = _box(ray, low, low + size)
        light = 0.35 + 0.65 * np.clip(normal @ SUN, 0, 1)
        point = ray * np.where(np.isfinite(near), near, 0)[..., None] - low
        tape = 1 - 0.35 * (np.abs(point[..., 0] - size[0] / 2) < 0.03)
        picture = np.where(np.isfinite(near)[..., None], color * (light * tape)[..., None], picture)
    center, radius = np.array([rng.uniform(-0.6, 0.6), height + 0.13, wall + 0.35]), 0.13
    along = ray @ center
    length = (ray * ray).sum(-1)
    root = along**2 - length * (center @ center - radius**2)
    near = (along - np.sqrt(np.clip(root, 0, None))) / length
    normal = (ray * near[..., None] - center) / radius
    paint = np.where(
        (np.sin(5 * np.arctan2(normal[..., 0], normal[..., 1] + 0.3)) > 0)[..., None],
        rng.uniform(0.3, 0.8, 3),
        [0.8, 0.8, 0.78],
    )
    return np.where((root > 0)[..., None], paint * (0.3 + 0.7 * np.clip(normal @ SUN, 0, 1))[..., None], picture)


def _box(ray: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance along each ray to an axis-parallel box (infinite where missed) and the normal there (slab method)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = low / ray, high / ray
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    near, axis = enter.max(-1), enter.argmax(-1)
    missed = (near > leave.min(-1)) | (near <= 0)
    normal = np.eye(3)[axis] * -np.sign(np.take_along_axis(ray, axis[..., None], -1))
    return np.where(missed, np.inf, near), normal


def _shadow(points: np.ndarray, height: float, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Share of light (0..1) at floor points: a sharp shadow away from the lamp and a soft one straight below."""
    import cv2

    middle = points[:, (0, 2)].mean(0)
    total = np.zeros_like(x)
    drop = points[:, 1] - height
    for direction, blur, share, top in ((SUN, 0.035, 0.62, np.inf), (np.array([0.0, 1.0, 0.0]), 0.10, 0.45, 0.5)):
        low = drop < top
        fallen = points[low][:, (0, 2)] - drop[low, None] * direction[[0, 2]] / direction[1]
        cells = int(2 * SHADOW_HALF_M / CELL_M)
        index = np.round((fallen - middle + SHADOW_HALF_M) / CELL_M).astype(int)
        index = index[((index >= 0) & (index < cells)).all(1)]
        shade = np.zeros((cells, cells), np.float32)
        shade[index[:, 1], index[:, 0]] = 1
        shade = np.asarray(cv2.morphologyEx(shade, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.float32)
        shade = np.asarray(cv2.GaussianBlur(shade, (0, 0), blur / CELL_M), np.float32)
        columns = ((x - middle[0] + SHADOW_HALF_M) / CELL_M).astype(np.float32)
        rows = ((z - middle[1] + SHADOW_HALF_M) / CELL_M).astype(np.float32)
        total = np.maximum(total, share * cv2.remap(shade, columns, rows, cv2.INTER_LINEAR, borderValue=0))
    return 1 - total


def _noise(row: np.ndarray, column: np.ndarray, seed: int) -> np.ndarray:
    """A number 0..1 for each pair of whole numbers."""
    return (np.sin(12.9898 * row + 78.233 * column + 3.7 * seed) * 43758.5453) % 1
