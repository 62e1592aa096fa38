"""Orientations and trackers: which way a body faces, how a head is turned, where a headset's sensors are.

    python examples/13_orientation_and_trackers.py

A yaw alone says little, and one that is wrong is one number among many; three sensors on head and wrists with places
and rotations say most of what the upper body does.
"""

import torch

import refine
from refine.body import anny
from refine.demo.scene import make_scene
from refine.terms.orientation import Facing, orientation
from refine.terms.trackers import trackers

SENSORS = ("head", "left_wrist", "right_wrist")


def main() -> dict[str, float]:
    """Refine one person by each kind of evidence; return the mean error of the upper body's joints (mm)."""
    scene = make_scene(anny.load(), count=1, seed=3)
    estimate, true = scene.estimate, scene.true
    photo, names = scene.photos[0].pixels, true.body.joint_names
    rotations = true.posed.rotations  # (1, J, 3, 3), in the camera's frame

    # 1. The trunk's yaw, as JointBDOE says it: 0 faces away from the camera, 90 to the image's left, 180 into it.
    front = rotations[:, names.index("spine3"), :, 2]
    yaw = torch.atan2(-front[:, 0], front[:, 2])
    facing = Facing(yaw, torch.tensor([0.18]))

    # 2. A head's rotation, sure about yaw and pitch (the camera's y and x), less so about roll (z).
    head = orientation("head", rotations[:, names.index("head")], torch.tensor([[0.05, 0.05, 0.2]]))

    # 3. A headset and two controllers: places to a centimetre, rotations to three degrees.
    numbers = [names.index(name) for name in SENSORS]
    sensors = trackers(SENSORS, position=true.joints[:, numbers], rotation=rotations[:, numbers])

    results = {
        "yaw": refine.fit(photo, estimate, evidence=[facing]),
        "yaw and head": refine.fit(photo, estimate, evidence=[facing, head]),
        "trackers": refine.fit(photo, estimate, evidence=[sensors]),
    }
    off = {"estimate": error_mm(estimate, true)}
    off |= {name: error_mm(result, true) for name, result in results.items()}
    for name, distance in off.items():
        print(f"{name:14} head and arms {distance:4.0f} mm from where they are, relative to the pelvis")
    return off


def error_mm(found: refine.Result | refine.Estimate, true: refine.Estimate) -> float:
    """Mean distance of head, shoulders, elbows and wrists from the true ones, pelvis-aligned, mm."""
    upper = [place for place, name in enumerate(true.body.joint_names[:22]) if name.endswith(PARTS)]
    own, right = (each.joints[:, upper] - each.joints[:, :1] for each in (found, true))
    return 1e3 * float((own - right).norm(dim=-1).mean())


PARTS = ("head", "shoulder", "elbow", "wrist")


if __name__ == "__main__":
    main()
