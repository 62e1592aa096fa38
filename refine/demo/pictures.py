"""Pictures of the demo: one person large, before and after, under good and poor evidence; everybody on one sheet.

Source: drawing is `refine.viz.overlay`'s.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from refine.demo.scene import Scene
from refine.estimate import Estimate
from refine.export.files import write_image
from refine.viz import canvas
from refine.viz.canvas import Picture
from refine.viz.layers import whole_view
from refine.viz.overlay import overlay, pair, side_of

SUBJECT = 0
"""Who is shown large."""
CAPTIONS = {"half hidden": "The photo shows all of the person, but matches below the middle are withheld."}
"""Said below the picture of a kind of evidence."""
PANEL_PX = 400
"""Height of a panel of the sheet."""
ACROSS = 3
"""People side by side on the sheet."""


def write_pictures(out: Path, scene: Scene, results: Mapping[str, Estimate]) -> list[Path]:
    """Draw and write all pictures.

    Args:
        out: An existing folder.
        scene: The people.
        results: The library's results by kind of evidence, the best kind first.

    Returns:
        The files: one before-and-after picture a kind, and the sheet of the first kind.
    """
    photo = scene.photos[SUBJECT].pixels
    files = {
        f"{_plain(name)}.jpg": overlay(
            photo, scene.estimate, result, image=SUBJECT, titles=("Estimate", f"Refined: {name}")
        )
        for name, result in results.items()
    }
    first, result = next(iter(results.items()))
    files["everybody.jpg"] = sheet(scene, result, f"Photo | estimate | refined ({first})")
    for name, picture in files.items():
        write_image(out / name, picture)
    return [out / name for name in files]


def sheet(scene: Scene, result: Estimate, title: str) -> Picture:
    """Draw photo, estimate and result of every person.

    Args:
        scene: The people.
        result: Their result.
        title: Above.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    cells = []
    for image, photo in enumerate(scene.photos):
        view = whole_view(photo.pixels, 1, PANEL_PX)
        sides = [side_of(estimate, photo.pixels, image, None) for estimate in (scene.estimate, result)]
        halves, _ = pair(photo.pixels, sides[0], sides[1], view)
        cells.append(np.concatenate((view.photo(photo.pixels), *halves), 1))
    gap = 8
    cells = [np.pad(cell, ((0, gap), (0, gap), (0, 0)), constant_values=canvas.PAPER[0]) for cell in cells]
    width = min(ACROSS, len(cells))
    cells += [np.full_like(cells[0], canvas.PAPER[0])] * (-len(cells) % width)
    rows = [np.concatenate(cells[start : start + width], 1) for start in range(0, len(cells), width)]
    head = canvas.blank(40, rows[0].shape[1])
    canvas.draw_text(head, title, (12, 6), 22, bold=True)
    return canvas.stack([head, *rows])


def _plain(name: str) -> str:
    """Return a name fit for a file."""
    return "_".join("".join(letter if letter.isalnum() else " " for letter in name).split())
