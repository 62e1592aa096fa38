"""SMPL parameters and your own camera: names as SMPL users know them go in, and come out again.

    python examples/02_your_own_camera.py

Without a camera there is no answer, because nobody can tell how far away a person is: `refine.fit` refuses, and lists
the focal rules of the usual systems. A camera is a rule ("diagonal", "fov60", "hmr2", ...), a K.json file, or numbers,
as here.
"""

import numpy as np
import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.geometry import rotation


def main() -> dict[str, np.ndarray]:
    """Refine a person given as a mapping; return the refined parameters under the same names."""
    scene = make_scene(anny.load(), count=1)
    photo = scene.photos[0].pixels
    keypoints = torch.cat((scene.true.keypoints_2d("coco17"), torch.ones(1, 17, 1)), -1).numpy()

    # What a regressor gives: axis-angle in rad (matrices do as well), metres, camera axes x right, y down, z forward.
    axis_angle = rotation.log(scene.estimate.bodies.pose)  # (1, 55, 3)
    regressed = {
        "global_orient": axis_angle[:, 0].numpy(),
        "body_pose": axis_angle[:, 1:22].flatten(1).numpy(),
        "left_hand_pose": axis_angle[:, 25:40].flatten(1).numpy(),
        "right_hand_pose": axis_angle[:, 40:55].flatten(1).numpy(),
        "betas": np.zeros((1, 10)),
        "transl": scene.estimate.bodies.translation.numpy(),
    }

    try:
        refine.fit(photo, regressed, keypoints=keypoints)
    except refine.InputError as error:
        print(f"Without a camera: {error}\n")

    height, width = photo.shape[:2]
    camera = refine.Camera(
        focal=torch.tensor([[800.0, 800.0]]),  # px of this photo
        center=torch.tensor([[width / 2, height / 2]]),  # px from the photo's top-left corner
        size=torch.tensor([[float(height), float(width)]]),
    )
    result = refine.fit(photo, regressed, keypoints=keypoints, camera=camera)
    print("\n".join(result.notes))

    refined = result.smplx()
    for name, value in refined.items():
        print(f"{name:16} {value.shape!s:12} {'' if name in regressed else 'of the body that stood in'}")
    return refined


if __name__ == "__main__":
    main()
