"""A folder as a regressor leaves it: results of the built-in body's people, small photos, OpenPose's true keypoints."""

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch

from refine.body import SkinnedBody
from refine.estimate import Estimate
from refine.folder.outcome import Summary
from refine.folder.run import run_folder
from refine.folder.settings import Settings
from refine.geometry import rotation
from tests.people import case

HEIGHT, WIDTH = 480, 400
"""px, of `tests.people`'s camera."""
REST_PELVIS_M = (0.0031, -0.3514, 0.0120)
"""Where SMPL-X's pelvis lies before it is moved: a stored translation leads from there."""


@dataclass(frozen=True)
class Folder:
    """`results/`, `images/` and `keypoints/` below `root`; the results' names without suffix."""

    root: Path
    names: tuple[str, ...]

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def keypoints(self) -> Path:
        return self.root / "keypoints"


def smplx_translation(estimate: Estimate) -> np.ndarray:
    """Return (B, 3) m: how SMPL-X stores where the people of an estimate stand."""
    return (estimate.joints[:, 0] - torch.tensor(REST_PELVIS_M)).numpy()


def make_folder(body: SkinnedBody, root: Path, count: int, seed: int = 0, scale: int = 1) -> Folder:
    """Write `count` results with one person each, every third one in a folder of its own.

    Args:
        body: The built-in body.
        root: Where to.
        count: How many.
        seed: Which people.
        scale: Photos are so many times as large, for decoding that takes its time.
    """
    people = case(body, count, seed, angle=0.15)
    pose = people.estimate.bodies.pose
    where = smplx_translation(people.estimate)
    root_turn, limbs = rotation.log(pose[:, 0]).numpy(), rotation.log(pose[:, 1:22]).flatten(1).numpy()
    focal, size = np.array([[480.0, 480.0]]) * scale, np.array([[HEIGHT, WIDTH]]) * scale
    points = torch.cat((people.detections.pixel * scale - 0.5, torch.ones(count, 25, 1)), -1).flatten(1).tolist()
    draw = np.random.default_rng(seed)
    names = []
    for row in range(count):
        name = f"{'sub/' if row % 3 == 2 else ''}person_{row:05d}"
        names.append(name)
        for kind in ("results", "images", "keypoints"):
            (root / kind / name).parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            root / "results" / f"{name}.npz",
            global_orient=root_turn[row : row + 1],
            body_pose=limbs[row : row + 1],
            transl=where[row : row + 1],
            focal=focal,
            size=size,
            somebody_elses=np.arange(3),
        )
        noise = draw.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        photo = cv2.resize(noise, (WIDTH * scale, HEIGHT * scale), interpolation=cv2.INTER_LINEAR)
        cv2.imwrite(str(root / "images" / f"{name}.jpg"), photo)
        written = {"version": 1.3, "people": [{"pose_keypoints_2d": points[row]}]}
        (root / "keypoints" / f"{name}_keypoints.json").write_text(json.dumps(written))
    return Folder(root, tuple(names))


def copy_of(folder: Folder, place: Path) -> Folder:
    """Return a copy that a test may spoil."""
    shutil.copytree(folder.root, place)
    return Folder(place, folder.names)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by name, the run's own state left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".refine" not in path.relative_to(folder).parts
    }


def run_over(results: Path, images: Path, out: Path, **options: object) -> Summary:
    """Refine a folder; options are fields of `Settings` and arguments of `run_folder`."""
    return run_folder(settings_of(results, images, options), out, **options)  # type: ignore[arg-type]


def settings_of(results: Path, images: Path, options: dict[str, object]) -> Settings:
    """Return the settings among some options, which are taken out of them."""
    named = {field.name for field in fields(Settings)} & options.keys()
    return Settings(results, images, **{name: options.pop(name) for name in named})  # type: ignore[arg-type]


def runner(root: Path, **usual: object) -> Callable[..., Summary]:
    """Return what refines a folder with its keypoints in one process, into a folder below a root."""

    def call(folder: Folder, out: str = "out", **options: object) -> Summary:
        given = {"keypoints": folder.keypoints, "jobs": 1, **usual, **options}
        return run_over(folder.results, folder.images, root / out, **given)

    return call


def touch(root: Path, *names: str) -> Path:
    """Make empty files below a folder, which is returned."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def png(width: int, height: int) -> bytes:
    """A PNG that is small on disk and states any size."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(bytes(100))) + part(b"IEND", b"")
