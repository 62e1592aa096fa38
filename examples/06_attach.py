"""Attach: two lines in an inference script, and a regressor returns refined output of its own type.

    python examples/06_attach.py

The regressor here is a stand-in for CLIFF: it returns CLIFF's three tensors (rotations, betas, a camera of the crop)
for people who are known exactly, a medium regressor's error away from them. Which adapters there are:
`refine.plugin.adapters`; how to write one: `docs/plugins.md`.
"""

import math

import torch
from torch import Tensor, nn

import refine
from refine.body import anny
from refine.demo.scene import Scene, make_scene
from refine.geometry.weak_perspective import from_perspective
from refine.plugin.adapters.find import regressor

REST_PELVIS_M = torch.tensor([-0.0018, -0.2233, 0.0282])
"""Where SMPL's mean body has its pelvis."""


class StandIn(nn.Module):
    """Returns what CLIFF would, with a parameter so that it is a module like any other."""

    def __init__(self, pose: Tensor, camera: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.pose, self.camera = pose, camera

    def forward(self, crops: Tensor, **_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return pred_rotmat (B, 24, 3, 3), pred_betas (B, 10), pred_cam_crop (B, 3)."""
        return self.pose * self.gain, torch.zeros(len(crops), 10), self.camera * self.gain


def stand_in(scene: Scene) -> tuple[StandIn, dict[str, Tensor]]:
    """Return the regressor, and what an inference script has at hand: boxes, the photos' size, detected keypoints."""
    estimate, count = scene.estimate, len(scene.estimate)
    size = estimate.camera.size
    # CLIFF's focal length is the photo's diagonal: at that length the same picture is seen from another distance.
    focal = math.hypot(*size[0].tolist())
    camera = refine.Camera(torch.full((count, 2), focal), size.flip(1) / 2, size)
    place = estimate.joints[:, 0] * torch.tensor([1.0, 1.0, focal / float(estimate.camera.focal[0, 0])]) - REST_PELVIS_M
    box_center, box_size = size.flip(1) / 2, size.amax(1)
    crop = from_perspective(place, camera).in_box(box_center, box_size)
    hands = torch.eye(3).expand(count, 2, 3, 3)
    model = StandIn(torch.cat((estimate.bodies.pose[:, :22], hands), 1), crop).eval()
    seen = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((count, 17, 1), 0.9)), -1)
    index = torch.arange(count)
    return model, {
        "box_center": box_center,
        "box_size": box_size,
        "img_size": size,
        "image_index": index,
        "keypoints": seen,
    }


def main() -> tuple[float, float]:
    """Call the regressor as it is and attached; return the keypoints' errors, px, before and after."""
    scene = make_scene(anny.load(), count=4)
    model, batch = stand_in(scene)
    crops = torch.zeros(4, 3, 256, 192)

    plain = model(crops, **batch)
    model = refine.attach(model, "cliff", keypoints="keypoints")  # <- the two lines are this one,
    refined = model(crops, **batch)  # <- and what the call has to know: boxes and keypoints

    off = [misfit(output, batch) for output in (plain, refined)]
    kinds = " ".join(f"{part.dtype} {tuple(part.shape)}" for part in refined)
    print(f"from the keypoints: {off[0]:.0f} px before, {off[1]:.0f} px after, in the same three tensors: {kinds}")
    refine.detach(model)
    assert torch.equal(model(crops, **batch)[0], plain[0])
    return off[0], off[1]


def misfit(output: tuple[Tensor, Tensor, Tensor], batch: dict[str, Tensor]) -> float:
    """How far the bodies an output means lie from the keypoints, px on average."""
    bodies = regressor("cliff").estimate(output, batch)
    return float((bodies.keypoints_2d("coco17") - batch["keypoints"][..., :2]).norm(dim=-1).mean())


if __name__ == "__main__":
    main()
