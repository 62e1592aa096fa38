"""Keypoints: what a confidence does, and how to state one's own uncertainty in pixels.

    python examples/01_keypoints.py

Every detected point gets a standard deviation: from the size of the person, from what annotators of that joint agree
on, and from the detector's confidence. Where you know better, build the term yourself and pass it as evidence.
"""

import numpy as np
import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.terms.keypoints import keypoints_from_sigma


def main() -> dict[str, float]:
    """Refine one person under four kinds of keypoints; return the error of the left wrist (mm) under each."""
    scene = make_scene(anny.load(), count=1)
    photo, estimate, body = scene.photos[0].pixels, scene.estimate, scene.estimate.body
    points = body.keypoint_set("coco17")
    wrist = points.names.index("left_wrist")
    true = scene.true.keypoints_2d("coco17")  # (1, 17, 2) px

    # 1. A detector's array: x, y, confidence. K = 17 is taken for COCO's points, 25 for BODY_25's, 133 for
    # COCO-WholeBody's.
    seen = torch.cat((true, torch.full_like(true[..., :1], 0.9)), -1).numpy()

    # 2. The detector mistakes something else for the wrist, and is sure of it: the robust kernel has to cope.
    wrong = seen.copy()
    wrong[0, wrist, :2] += 80.0

    # 3. Confidence zero: the point is not evidence at all.
    silent = wrong.copy()
    silent[0, wrist, 2] = 0.0

    # 4. Your own uncertainty: 1 px everywhere, infinite (no information) for the wrist. The array is left away.
    sigma_px = torch.ones(1, len(points.names))
    sigma_px[0, wrist] = torch.inf
    own = keypoints_from_sigma(points, torch.from_numpy(wrong[..., :2]), sigma_px)

    results = {
        "as detected": refine.fit(photo, estimate, keypoints=seen),
        "a wrong wrist": refine.fit(photo, estimate, keypoints=wrong),
        "its confidence 0": refine.fit(photo, estimate, keypoints=silent),
        "own sigmas": refine.fit(photo, estimate, evidence=[own]),
    }
    off = {"estimate": wrist_mm(scene.estimate, scene.true)}
    off |= {name: wrist_mm(result, scene.true) for name, result in results.items()}
    for name, distance in off.items():
        print(f"{name:18} left wrist {distance:5.0f} mm from where it is, relative to the pelvis")
    return off


def wrist_mm(found: refine.Result | refine.Estimate, true: refine.Estimate) -> float:
    """How far the left wrist lies from the true one, pelvis-aligned, in mm."""
    joint = true.body.joint_names.index("left_wrist")
    relative = [each.joints[0, joint] - each.joints[0, 0] for each in (found, true)]
    return 1e3 * float(np.linalg.norm(relative[0] - relative[1]))


if __name__ == "__main__":
    main()
