"""A file of every format in an example, and what is in it."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import tests.layouts
from refine.errors import InputError
from refine.estimate import Estimate
from refine.files.npz import member_names, read_arrays, read_object
from refine.files.pickled import kind, read_json, read_pickled
from refine.formats.find import read
from refine.geometry import rotation
from refine.geometry.camera import Camera
from refine.state import State

LAYOUTS = {
    module.name: importlib.import_module(f"tests.layouts.{module.name}")
    for module in pkgutil.iter_modules(tests.layouts.__path__)
    if not module.name.startswith("_")
}

REAL = {
    "real ROMP": ("romp_photo", "romp_output.npz"),
    "real BEV": ("bev_pair", "image_1_0.08.npz"),
    "real GLAMR": ("glamr", "running_seed1.pkl"),
}

SAME_BODY_PX = 0.1
"""How far the refined body may move by being written and read: rounding, at 400 m of a weak perspective's distance."""

PIXEL_TOLERANCE = 0.05
"""px, where a format's camera is the same as ours; a layout whose camera is another says its own in `PIXELS`."""

READ_ALIKE = {name: name for name in ("npz", "npy", "json", "torch", "pickle")} | {"joblib": "pickle"}
"""`joblib.load` reads plain pickles, and arrays in them as it reads its own."""

SURFACES = frozenset({"verts", "vertices", "smplx_verts", "v3d", "vertices3d"})
"""Keys under which regressors store what only their model's file can pose again."""


@dataclass(frozen=True)
class Example:
    """A file of some format, and what must be known to read it."""

    path: Path
    format: str
    sizes: Tensor | None
    pixels: float
    folder: Path
    derived: frozenset[str] = SURFACES
    camera: Camera | None = None

    def read(self, camera: Camera | None = None) -> Estimate:
        return read(self.path, camera=camera or self.camera, sizes=self.sizes)

    def again(self, path: Path) -> Estimate:
        return read(path, camera=self.camera, sizes=self.sizes)

    def out(self, name: str = "out") -> Path:
        """A place of the same name in another folder, as formats of several files need it."""
        path = self.folder / name / self.path.relative_to(self.folder / "in")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def example(layout: str, folder: Path, people: int = 2) -> Example:
    """The layout's file in a folder of its own."""
    module = LAYOUTS[layout]
    (folder / "in").mkdir()
    path = module.write(folder / "in" / f"estimate{module.SUFFIX}", people)
    sizes = getattr(module, "SIZES", None)
    sizes = None if sizes is None else torch.as_tensor(np.asarray(sizes), dtype=torch.float32).reshape(-1, 2)
    pixels = getattr(module, "PIXELS", PIXEL_TOLERANCE)
    camera = getattr(module, "CAMERA", None)
    derived = SURFACES | getattr(module, "DERIVED", frozenset())
    return Example(path, getattr(module, "FORMAT", layout), sizes, pixels, folder, derived, camera)


def content(path: Path) -> Any:
    """Everything a file holds; dictionaries that numpy stores as objects opened."""
    what = kind(path)
    if what == "npz":
        try:
            return dict(read_arrays(path))
        except InputError:
            return {name: read_object(path, name) for name in member_names(path)}
    return read_json(path) if what == "json" else read_pickled(path)


def leaves(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Everything in nested data that is not a container, with the keys that lead to it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*where, name))
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple | np.ndarray) for item in value):
        for place, item in enumerate(value):
            yield from leaves(item, (*where, place))
    else:
        yield where, value


def shaped(estimate: Estimate) -> Estimate:
    """The estimate with other shapes, and fingers bent, as evidence that sees them leaves it."""
    draw = torch.Generator().manual_seed(3)
    shape = estimate.bodies.shape + 0.5 * torch.randn(estimate.bodies.shape.shape, generator=draw)
    pose = estimate.bodies.pose.clone()
    pose[:, 30] = pose[:, 30] @ rotation.exp(torch.tensor([0.0, 0.2, 0.1]))
    return replace(estimate, state=State(replace(estimate.bodies, shape=shape, pose=pose), estimate.camera))
