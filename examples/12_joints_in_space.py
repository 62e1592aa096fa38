"""3D joints: what a lifting network says, with what it leaves open, and several lifts of which the evidence chooses.

    python examples/12_joints_in_space.py

A lifting network does not know how far away somebody stands, and hardly how tall: its place and its unit are open, and
are eliminated exactly, so that the result's uncertainty knows it. `refine fit ... --points3d X3D.npy` does the same
with a file of VideoPose3D, MotionBERT or MeTRAbs.
"""

import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.keypoints.joints3d import point_set
from refine.terms.alternatives import alternatives
from refine.terms.joints3d import joints3d

SIGMA_M = 0.03
"""Of a lifted joint per axis: a mean error of 48 mm."""


def main() -> dict[str, float]:
    """Refine two people by lifted joints; return the mean error of their joints (mm) under each kind of evidence."""
    scene = make_scene(anny.load(), count=2)
    estimate, body = scene.estimate, scene.estimate.body
    photos = [photo.pixels for photo in scene.photos]

    # What a network says: H36M's 17 joints relative to the pelvis, in a unit of its own, a little off.
    points = point_set(body, "h36m17")
    true = scene.true.posed.keypoints(points)  # (2, 17, 3) m
    noise = SIGMA_M * torch.randn(true.shape, generator=torch.Generator().manual_seed(0))
    said = 0.6 * (true - true[:, :1] + noise)
    sigma = torch.full(said.shape[:2], SIGMA_M)
    lift = joints3d(points, said, sigma, shift=True, scale=True)

    # Seen from the front, a pose and its mirror image in depth look alike: a network may say both. The keypoints and
    # what bodies can do choose.
    mirrored = joints3d(points, said * torch.tensor([1.0, 1.0, -1.0]), sigma, shift=True, scale=True)
    both = alternatives([mirrored, lift])

    keypoints = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((2, 17, 1), 0.9)), -1).numpy()
    results = {
        "keypoints": refine.fit(photos, estimate, keypoints=keypoints),
        "3D joints": refine.fit(photos, estimate, evidence=[lift]),
        "both": refine.fit(photos, estimate, keypoints=keypoints, evidence=[lift]),
        "both, two lifts": refine.fit(photos, estimate, keypoints=keypoints, evidence=[both]),
    }
    off = {"estimate": error_mm(estimate, scene.true)}
    off |= {name: error_mm(result, scene.true) for name, result in results.items()}
    for name, distance in off.items():
        print(f"{name:16} joints {distance:5.0f} mm from where they are, relative to the pelvis")
    return off


def error_mm(found: refine.Result | refine.Estimate, true: refine.Estimate) -> float:
    """Mean distance of the body's joints from the true ones, pelvis-aligned, mm."""
    own, right = (each.joints[:, :22] - each.joints[:, :1] for each in (found, true))
    return 1e3 * float((own - right).norm(dim=-1).mean())


if __name__ == "__main__":
    main()
