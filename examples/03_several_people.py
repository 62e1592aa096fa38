"""Several people in several photos in one call, and how sure the answer is.

    python examples/03_several_people.py

All people are one batch; `image_index` says who is in which photo. They are solved together and do not feel each other.
`sigma_mm` says what the evidence and the priors left open, and `verdict` whether each update is believed: a joint
nobody saw is about as uncertain as the prior.
"""

from dataclasses import replace

import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene

JOINTS = ("left_shoulder", "left_elbow", "left_wrist", "left_knee", "left_ankle")


def main() -> torch.Tensor:
    """Refine four people, the legs of the last one unseen; return the standard deviations (4, joints) in mm."""
    scene = make_scene(anny.load(), count=4)
    estimate = replace(scene.estimate, image_index=torch.arange(4))  # person b is in photo b
    photos = [photo.pixels for photo in scene.photos]

    # Keypoints (B, 17, 3) in the order of the estimate's people; of the last one the knees and ankles are hidden.
    points = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((4, 17, 1), 0.9)), -1).numpy()
    points[3, 13:17, 2] = 0.0

    result = refine.fit(photos, estimate, keypoints=points)
    columns = [result.body.joint_names.index(name) for name in JOINTS]
    sigma = result.sigma_mm.norm(dim=-1)  # (B, J) mm, over image-x, image-y and depth, relative to the pelvis
    print("standard deviation in mm        " + "  ".join(f"{name:>13}" for name in JOINTS))
    for person in range(len(result)):
        row = "  ".join(f"{float(sigma[person, column]):13.0f}" for column in columns)
        print(f"person {person}, {float(result.misfit[person]):4.1f} px             {row}")
        print(f"    {result.verdict[person]}")
    return sigma[:, columns]


if __name__ == "__main__":
    main()
