"""How long a 256 x 256 image of the built-in body takes on one core, and how far the rasterisers agree."""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from refine.body import anny
from refine.errors import MissingExtra
from refine.geometry.camera import Camera
from refine.render import Rasterizer
from refine.render.plain import PlainRasterizer
from refine.render.rasterize import by_name, rasterize
from refine.render.warp import WarpRasterizer
from tests.benchmarks.measurement import Measurement, best_seconds

SIZE = 256
BATCH = 8

COLD = """
import sys, time, torch, warp
warp.config.kernel_cache_dir = sys.argv[1]
from refine.geometry.camera import Camera
from refine.render.warp import WarpRasterizer
camera = Camera(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 2))
start = time.perf_counter()
WarpRasterizer().triangles(torch.rand(1, 3, 3) + 1, torch.tensor([[0, 1, 2]]), camera, 8, 8)
print(time.perf_counter() - start)
"""


def measure() -> list[Measurement]:
    """Return rasterize.{warp,plain}.256.cpu, their agreement, the warp kernel's first use, and PyTorch3D's if there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure()
    finally:
        torch.set_num_threads(threads)


def _measure() -> list[Measurement]:
    vertices, faces, camera = scene()

    def milliseconds(rasterizer: Rasterizer, bodies: int, repeats: int) -> float:
        part = vertices[:bodies], faces, camera[torch.arange(bodies)], SIZE, SIZE
        return best_seconds(lambda: rasterizer.triangles(*part), repeats) * 1e3 / bodies

    warp, plain = WarpRasterizer(), PlainRasterizer()
    note = f"ms per {SIZE} x {SIZE} image of {len(faces)} triangles, one thread"
    everything = best_seconds(lambda: rasterize(warp, vertices, faces, camera, SIZE, SIZE), 5) * 1e3 / BATCH
    expected, seen = (
        each.triangles(vertices[:2], faces, camera[torch.arange(2)], SIZE, SIZE) for each in (plain, warp)
    )
    foreground = (expected >= 0) | (seen >= 0)
    agreement = (expected == seen)[foreground].double().mean().item()
    found = [
        Measurement("rasterize.warp.256.cpu", milliseconds(warp, 1, 30), "ms", "lower", 0.5, note, target=2.0),
        Measurement(
            "rasterize.warp.256.batch.cpu",
            milliseconds(warp, BATCH, 10),
            "ms",
            "lower",
            0.5,
            f"{note}, {BATCH} bodies at once",
        ),
        Measurement(
            "rasterize.fragments.256.cpu", everything, "ms", "lower", 0.5, f"{note}, with barycentrics and depth"
        ),
        Measurement("rasterize.plain.256.cpu", milliseconds(plain, 1, 2), "ms", "lower", 0.5, note),
        Measurement(
            "rasterize.warp.agreement",
            agreement,
            "share",
            "higher",
            0.0,
            "same triangle as plain, of the foreground",
            target=0.999,
        ),
        Measurement(
            "rasterize.warp.cold",
            cold_seconds(),
            "s",
            "report",
            note="first call with an empty kernel cache, fresh process",
        ),
    ]
    try:
        found.append(
            Measurement(
                "rasterize.pytorch3d.256.cpu", milliseconds(by_name("pytorch3d"), 1, 1), "ms", "report", note=note
            )
        )
    except MissingExtra:
        pass
    return found


def scene() -> tuple[Tensor, Tensor, Camera]:
    """Return turned built-in bodies of 85 % of the image's height: vertices (8, V, 3) m, faces, cameras."""
    body = anny.load()
    template = body.template - (body.template.amin(0) + body.template.amax(0)) / 2
    upright = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    angle = torch.arange(BATCH) * (2 * torch.pi / BATCH)
    zero, one = torch.zeros(BATCH), torch.ones(BATCH)
    turn = torch.stack((angle.cos(), zero, angle.sin(), zero, one, zero, -angle.sin(), zero, angle.cos()), 1).reshape(
        -1, 3, 3
    )
    distance = 3.0
    vertices = template @ (turn @ upright).mT + torch.tensor([0, 0, distance])
    height = template[:, 1].amax() - template[:, 1].amin()
    focal = 0.85 * SIZE * distance / height
    sizes = focal.expand(BATCH, 2), torch.full((BATCH, 2), SIZE / 2), torch.full((BATCH, 2), float(SIZE))
    return vertices, body.faces, Camera(*sizes)


def cold_seconds() -> float:
    """Return how long the first call takes where Warp has compiled nothing yet."""
    with tempfile.TemporaryDirectory() as cache:
        words = [sys.executable, "-c", COLD, cache]
        root = Path(__file__).parents[2]
        return float(subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout)
