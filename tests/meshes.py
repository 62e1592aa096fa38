"""Small scenes for rasterisers: a rectangle, a blob, and the camera before them."""

import torch
from torch import Tensor

from refine.geometry.camera import Camera

QUAD = torch.tensor([[0, 1, 2], [0, 2, 3]])


def camera_of(height: int, width: int, focal=(100.0, 100.0), center=None, count: int = 1) -> Camera:
    center = (width / 2, height / 2) if center is None else center
    parts = (torch.tensor([value], dtype=torch.float32) for value in (focal, center, (height, width)))
    return Camera(*(part.repeat(count, 1) for part in parts))


def rectangle(left: float, top: float, right: float, bottom: float, depth: float, camera: Camera) -> Tensor:
    """Corners (4, 3) m of the upright rectangle at a depth that is seen between the given pixel coordinates."""
    pixel = torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]])
    flat = (pixel - camera.center[0]) / camera.focal[0] * depth
    return torch.cat((flat, torch.full((4, 1), depth)), 1)


def blob(seed: int, rings: int = 24, spokes: int = 32) -> tuple[Tensor, Tensor]:
    """A closed bumpy ellipsoid about the origin: vertices (V, 3) m and faces (F, 3), outwards."""
    draw = torch.Generator().manual_seed(seed)
    down = torch.linspace(0, torch.pi, rings + 1)[1:-1, None]
    around = torch.arange(spokes) * (2 * torch.pi / spokes)
    x, y, z = down.sin() * around.cos(), -down.cos().expand(-1, spokes), down.sin() * around.sin()
    shell = torch.stack((x, y, z), -1).reshape(-1, 3)
    poles = torch.tensor([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    vertices = torch.cat((shell, poles)) * torch.tensor([0.4, 0.8, 0.3])
    vertices = vertices * (1 + 0.05 * torch.randn(len(vertices), 1, generator=draw))
    first = torch.arange((rings - 2) * spokes).reshape(rings - 2, spokes)
    a, b, c, d = first, first.roll(-1, 1), first + spokes, first.roll(-1, 1) + spokes
    sides = torch.stack((a, b, d, a, d, c), -1).reshape(-1, 3)
    ring = torch.arange(spokes)
    top = torch.stack((torch.full_like(ring, len(shell)), ring.roll(-1), ring), 1)
    last = ring + (rings - 2) * spokes
    bottom = torch.stack((torch.full_like(ring, len(shell) + 1), last, last.roll(-1)), 1)
    return vertices, torch.cat((sides, top, bottom))
