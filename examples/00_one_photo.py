"""One photo: a regressor's estimate and 2D keypoints go in, a body that lies on the person comes out.

    python examples/00_one_photo.py                                        a person of the demo
    python examples/00_one_photo.py photo.jpg romp.npz keypoints.json      your own

The estimate may be a ROMP or BEV npz, or an npz with SMPL's names; the keypoints are JSON in OpenPose's layout, as
OpenPose and ViTPose write them. Pictures and meshes are written into the folder `out`.
"""

import sys
from pathlib import Path

import numpy as np

import refine
from refine.body import anny
from refine.demo.scene import Scene, make_scene
from refine.viz import write_image


def main(*files: str, out: Path = Path("out")) -> refine.Result:
    """Refine, say how it went, and write what one usually wants to have."""
    if files:
        photo, estimate, keypoints = files
        result = refine.fit(photo, estimate, keypoints=keypoints)
    else:
        scene = make_scene(anny.load(), count=1)
        result = refine.fit(scene.photos[0].pixels, scene.estimate, keypoints=detect(scene))

    for note in result.notes:  # what was decided on the way: camera, body model, orientation of the photo
        print(note)
    for person in range(len(result)):
        before, after = float(result.misfit_before[person]), float(result.misfit[person])
        print(f"person {person}: keypoints {before:.1f} -> {after:.1f} px away. {result.stop[person].value}")

    out.mkdir(parents=True, exist_ok=True)
    write_image(out / "overlay.jpg", result.overlay())  # before | after
    write_image(out / "report.png", result.report())  # a close-up of every person, and what moved
    result.write_obj(out / "mesh.obj")
    result.save(out / "result.npz")  # refine.load reads it back
    return result


def detect(scene: Scene, sigma_px: float = 2.0) -> np.ndarray:
    """What a keypoint detector would say of a demo scene: (B, 17, 3) x, y in px and confidence."""
    points = scene.true.keypoints_2d("coco17").numpy()
    points = points + np.random.default_rng(0).normal(0.0, sigma_px, points.shape)
    return np.concatenate((points, np.full((*points.shape[:2], 1), 0.9)), -1)


if __name__ == "__main__":
    main(*sys.argv[1:])
