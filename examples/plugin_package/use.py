"""Everything the package adds, used. Prints one line of JSON.

python examples/plugin_package/use.py [FOLDER]
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from refine_tiny.file_format import save
from refine_tiny.network import TinyRegressor

import refine
from refine.body import pose_body
from refine.body.load import load_body
from refine.export.files import write_image
from refine.formats.find import formats
from refine.plugin.adapters.find import regressors
from refine.render.rasterize import by_name, rasterize

SIDE = 128


def main(folder: Path) -> dict[str, object]:
    """Attach, read, write, load, render; return what came of it."""
    torch.manual_seed(0)
    model = TinyRegressor().eval()
    images = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        plain = model(images)

    # 1. Its output, refined. The person's keypoints: where the estimate has them, 6 px to the right.
    if "tiny" not in regressors():
        raise SystemExit("Install the package first: pip install ./examples/plugin_package")
    adapter = regressors()["tiny"]
    before = adapter.estimate(plain, {"img": images})
    right = torch.cat((before.keypoints_2d("coco17") + torch.tensor([6.0, 0.0]), torch.ones(1, 17, 1)), -1)
    refine.attach(model, "tiny", keypoints=lambda batch, estimate: right)
    out = model(images)
    after = adapter.estimate(out, {"img": images})
    moved = (after.keypoints_2d("coco17") - before.keypoints_2d("coco17"))[..., 0].mean()

    # 2. Its file, recognised, refined and written in its own layout.
    file, again, photo = folder / "people.json", folder / "refined.json", folder / "photo.png"
    save(file, plain, SIDE)
    write_image(photo, (255 * images[0].permute(1, 2, 0)).byte().numpy())
    result = refine.fit(photo, file, keypoints=right.numpy())
    result.write_source(again)
    same = refine.read(again).source.pose - after.source.pose

    # 3. Its body and its rasteriser.
    tall, counting = load_body("tall"), by_name("counting")
    person = before.state.bodies
    vertices = pose_body(before.body, person).vertices
    seen = rasterize(counting, vertices, before.body.faces, before.camera, 32, 32)
    height = (tall.template[:, 1].max() - tall.template[:, 1].min()) / (
        before.body.template[:, 1].max() - before.body.template[:, 1].min()
    )
    return {
        "formats": "tiny" in formats(), "regressors": "tiny" in regressors(), "moved_px": float(moved),
        "file_agrees": float(same.abs().max()),
        "format": result.source.format, "taller": float(height), "asked": counting.asked,
        "rendered": bool((seen.triangle >= 0).any()),
    }  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary))))
