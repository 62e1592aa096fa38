"""Several people in several photos in one call, and how sure the answer is.

    python examples/03_several_people.py

All people are one batch; `image_index` says who is in which photo. They are solved together and do not feel each other. The
covariance says what the evidence and the priors left open: a joint nobody saw is as uncertain as the prior, a column that nothing
observes is infinite.
"""

from dataclasses import replace

import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene

JOINTS = ("left_shoulder", "left_elbow", "left_wrist", "left_knee", "left_ankle")


def main() -> torch.Tensor:
    """Refine four people, the legs of the last one unseen; return the standard deviations (4, joints) in degrees."""
    scene = make_scene(anny.load(), count=4)
    estimate = replace(scene.estimate, image_index=torch.arange(4))  # person b is in photo b
    photos = [photo.pixels for photo in scene.photos]

    # Keypoints (B, 17, 3) in the order of the estimate's people; of the last one the knees and ankles are hidden.
    points = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((4, 17, 1), 0.9)), -1).numpy()
    points[3, 13:17, 2] = 0.0

    result = refine.fit(photos, estimate, keypoints=points)
    sigma = joint_sigma(result.rounds[-1])  # (B, J_free) degrees
    columns = [result.rounds[-1].unknowns.joints.index(result.body.joint_names.index(name)) for name in JOINTS]
    print("standard deviation in degrees   " + "  ".join(f"{name:>13}" for name in JOINTS))
    for person in range(len(result)):
        row = "  ".join(f"{float(sigma[person, column]):13.1f}" for column in columns)
        print(f"person {person}, {float(result.misfit[person]):4.1f} px             {row}")
    return sigma[:, columns]


def joint_sigma(solution: refine.Solution) -> torch.Tensor:
    """(B, J_free) standard deviation of each free joint's local rotation, root mean square over the axes, in degrees."""
    variance = solution.covariance().diagonal(dim1=1, dim2=2)  # (B, P): three columns a joint come first
    per_joint = variance[:, solution.unknowns.pose_columns].unflatten(1, (-1, 3))
    return torch.rad2deg(per_joint.mean(2).sqrt())


if __name__ == "__main__":
    main()
