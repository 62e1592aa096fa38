"""Two calibrated cameras: what one photo cannot tell, how far away a hand is, the other one does.

    python examples/08_two_cameras.py

Each camera is calibrated with OpenCV: a matrix K, the lens' distortion, and where it stands in the world. The first one
is the estimate's; the second one's keypoints are a further term with a camera of its own, in the same world. No photo
is undistorted, keypoints are those of the photos as they were taken.
"""

from dataclasses import replace

import numpy as np
import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.geometry import rotation
from refine.terms.keypoints import keypoints_from_sigma
from refine.transfer import in_world

SIGMA_PX = 2.0
K = np.array([[900.0, 0.0, 255.5], [0.0, 900.0, 255.5], [0.0, 0.0, 1.0]])
DISTORTION = np.array([-0.25, 0.1, 0.001, -0.002, 0.0])


def main() -> dict[str, float]:
    """Refine a person by one camera and by two; return the joints' mean errors in mm."""
    scene = make_scene(anny.load(), count=1)
    first = replace(scene.true.camera, distortion=torch.tensor(DISTORTION, dtype=torch.float32)[None])

    # The world's axes are the first camera's here; the second stands to the right and looks to the left at the person.
    pelvis = scene.true.joints[0, 0]
    turn = rotation.exp(torch.tensor([0.0, 1.2, 0.0]))
    shift = torch.tensor([0.0, 0.0, float(pelvis[2])]) - turn @ pelvis
    second = replace(
        refine.Camera.from_opencv(K, DISTORTION, size=(512, 512)),
        camera_from_world=torch.cat((turn, shift[:, None]), 1)[None],
    )

    # What a regressor said of the first photo, in the world; and what was detected in the two photos.
    here = torch.eye(3, 4)[None]
    estimate = in_world(replace(scene.estimate, state=replace(scene.estimate.state, camera=first)), here)
    points = estimate.body.keypoint_set("coco17")
    place = scene.true.posed.keypoints(points)
    noise = torch.Generator().manual_seed(0)
    seen = [camera.project(place) + SIGMA_PX * torch.randn(1, 17, 2, generator=noise) for camera in (first, second)]
    detected = torch.cat((seen[0], torch.ones(1, 17, 1)), -1).numpy()
    beside = keypoints_from_sigma(points, seen[1], torch.full((1, 17), SIGMA_PX), camera=second)

    photo = scene.photos[0].pixels
    errors = {"estimate": error_mm(estimate, scene.true)}
    for name, evidence in (("one camera", ()), ("two cameras", (beside,))):
        result = refine.fit(photo, estimate, keypoints=detected, evidence=evidence)
        errors[name] = error_mm(result.refined, scene.true)
    for name, error in errors.items():
        print(f"{name:12} {error:6.1f} mm")
    return errors


def error_mm(found: refine.Estimate, true: refine.Estimate) -> float:
    """Return the mean distance of the first 22 joints, mm, place included."""
    return 1000 * float((found.joints - true.joints)[:, :22].norm(dim=-1).mean())


if __name__ == "__main__":
    main()
