"""A copy of the training's assets that is small enough to take to another machine: `python -m tests.gpu.small_assets
ASSETS OUT [TRUNK.pth]`.

It holds what `displacement_net.training.assets.load_assets` reads and nothing else, textures at the side they are used
at: 45 MB of 66, 37 MB as a `tar -J` with the base mesh and the trunk. The trunk's file is written without its
classifier, in half precision, as `OUT/trunk.pth`.
"""

import shutil
import sys
from pathlib import Path

import torch

from displacement_net.training.assets import TEXTURE_PX
from refine.errors import InputError

KEPT = (".mhclo", ".obj", ".mhmat")
HEAD = ("_conv_head", "_bn1", "_fc")
"""What comes after the trunk's last block."""


def small_texture(path: Path, out: Path) -> None:
    """Write a picture at the side it is used at.

    Raises:
        InputError: It cannot be read.
    """
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise InputError("assets", "a picture", str(path))
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), cv2.resize(picture, (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_AREA))


def small_assets(folder: Path, out: Path) -> None:
    """Write the copy.

    Args:
        folder: The assets.
        out: A new folder.
    """
    for name in ("hdri", "motion"):
        (out / name).mkdir(parents=True)
    for path in (*sorted((folder / "hdri").glob("*.hdr")), folder / "motion" / "cmu_poses.npz"):
        shutil.copy(path, out / path.parent.name)
    for path in sorted((folder / "makehuman" / "skins").glob("*.png")):
        small_texture(path, out / "makehuman" / "skins" / path.name)
    for kind in ("clothes", "hair"):
        for garment in sorted(each for each in (folder / "makehuman" / kind).iterdir() if each.is_dir()):
            there = out / "makehuman" / kind / garment.name
            there.mkdir(parents=True)
            for path in sorted(garment.iterdir()):
                if path.suffix in KEPT:
                    shutil.copy(path, there)
                if path.suffix == ".mhmat":
                    for line in path.read_text(errors="replace").splitlines():
                        if line.startswith("diffuseTexture"):
                            small_texture(garment / line.split()[1], there / line.split()[1])


def small_trunk(path: Path, out: Path) -> None:
    """Write the trunk's published weights without what comes after its last block, in half precision but for the
    statistics."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    kept = {name: value for name, value in stored.items() if not name.startswith(HEAD)}
    torch.save({name: value if "running" in name or not value.is_floating_point() else value.half() for name, value in kept.items()}, out)  # fmt: skip  # noqa: E501


if __name__ == "__main__":
    small_assets(Path(sys.argv[1]), Path(sys.argv[2]))
    if len(sys.argv) > 3:
        small_trunk(Path(sys.argv[3]), Path(sys.argv[2]) / "trunk.pth")
