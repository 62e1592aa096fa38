"""A picture of samples to look at, and how fast they are made.

    python -m displacement_net.training.sheet --training-body FILE [--assets DIR] [--out PNG] [--device cuda] [--count
        N] [--size S]

Three pictures a sample: the photo; the estimate's normals over it, a line from each point to where it really is (green:
visible, red: hidden or outside); the textured rendering.

Source: displacement drawn as lines, as in the report of `refine.viz`.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from torch import Tensor

from displacement_net.training.assets import load_assets
from displacement_net.training.samples import Sampler, Samples
from displacement_net.training.training_body import load_or_build
from refine.render.rasterize import DEFAULT, by_name

STEP = 6
"""Pixels between arrows."""
ENLARGED = 2
"""Pixels of the sheet per pixel of the samples."""


def sheet(samples: Samples, columns: int = 4) -> np.ndarray:
    """Draw a contact sheet.

    Args:
        samples: B samples.
        columns: Samples side by side; each takes three pictures.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    import cv2

    cells = []
    for index in range(len(samples)):
        mask = samples.foreground[index].cpu().numpy()
        photo, texture, normals = (
            np.asarray(np.repeat(np.repeat(_bytes(each), ENLARGED, 0), ENLARGED, 1))
            for each in (samples.image[index], samples.texture[index], 0.5 + 0.5 * samples.normals[index])
        )
        over = np.asarray((photo // 2 + normals // 2), np.uint8)
        visible, offset = samples.visible[index].cpu().numpy(), samples.offset[index].cpu().numpy()
        rows, columns_found = np.nonzero(mask)
        for row, column in zip(rows.tolist(), columns_found.tolist(), strict=True):
            if row % STEP == STEP // 2 and column % STEP == STEP // 2:
                start = ENLARGED * (np.array((column, row)) + 0.5)
                end = (start + ENLARGED * offset[row, column]).clip(-10000, 10000)
                ink = (0, 220, 0) if visible[row, column] else (230, 0, 0)
                (x, y), (to_x, to_y) = start.astype(int).tolist(), end.astype(int).tolist()
                cv2.line(over, (x, y), (to_x, to_y), ink, 1, cv2.LINE_AA)
        cells.append(np.concatenate((photo, over, texture), 1))
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    lines = [np.concatenate(cells[start : start + columns], 1) for start in range(0, len(cells), columns)]
    return np.concatenate(lines)


def _bytes(picture: Tensor) -> np.ndarray:
    """Return a picture (3, S, S) in 0..1 as (S, S, 3) uint8."""
    return np.asarray((255 * picture.clamp(0, 1)).permute(1, 2, 0).cpu().numpy(), np.uint8)


def main() -> None:
    """Read the arguments, make samples, print the speed, write the sheet."""
    import cv2

    from refine.body import anny

    parser = argparse.ArgumentParser(prog="python -m displacement_net.training.sheet", description=__doc__)
    parser.add_argument(
        "--training-body", type=Path, required=True, help="the full base mesh; built where it is absent"
    )
    parser.add_argument("--assets", type=Path, default=Path(os.environ.get("REFINE_ASSETS", "../shared/assets")))
    parser.add_argument("--out", type=Path, help="where to draw samples (.png)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", type=int, default=64, help="samples a batch")
    parser.add_argument("--size", type=int, default=128, help="side of the crops, px")
    parser.add_argument("--batches", type=int, default=4, help="batches that are timed, after one that is not")
    parser.add_argument("--rasterizer", default=DEFAULT, help="what finds triangles (scatter, where there is no warp)")
    asked = parser.parse_args()
    training = load_or_build(anny.load(), asked.training_body)
    sampler = Sampler(
        training, load_assets(asked.assets), size=asked.size, device=asked.device, rasterizer=by_name(asked.rasterizer)
    )
    samples = sampler.batch(0, asked.count)
    start = time.perf_counter()
    for seed in range(asked.batches):
        float(sampler.batch(seed + 1, asked.count).image.sum())  # waits for the device
    wall = time.perf_counter() - start
    print(
        f"{asked.batches * asked.count / wall:.1f} samples/s, {asked.size} px, batches of {asked.count}, {asked.device}"
    )
    if asked.out:
        cv2.imwrite(str(asked.out), sheet(samples)[..., ::-1])


if __name__ == "__main__":
    main()
