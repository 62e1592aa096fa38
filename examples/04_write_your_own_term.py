"""Write your own term: a hand that is known to touch something.

    python examples/04_write_your_own_term.py

A term is any object with `linearize`: it returns a residual in standard deviations and its derivative by the step. The
solver brings batching, damping and robustness. This one knows from elsewhere (a depth camera, a scene, an annotator)
where a joint lies:

    residual[b] = (joint[b] - place[b]) / sigma_m
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float

import refine
from refine.body import PosedBody, anny
from refine.demo.scene import make_scene
from refine.terms import LeastSquares, Linearization


@dataclass(frozen=True)
class JointAt:
    """Pulls one joint to a place.

    Attributes:
        joint: The joint's name.
        place: (B, 3) m, camera frame. Declared with its shape, so that a body's row can be taken from the term where
            that body is tried from several starts.
        sigma_m: How well the place is known, m.
    """

    joint: str
    place: Float[torch.Tensor, "B 3"]
    sigma_m: float = 0.01

    def linearize(self, state: refine.State, posed: PosedBody, unknowns: refine.Unknowns) -> Linearization:
        """Return residual (B, 1, 3), unitless, and its Jacobian (B, 1, 3, P) per unit step."""
        joints, joints_by_step = posed.joints_with_jacobian(unknowns)  # (B, J, 3) m, (B, J, 3, P)
        here = posed.body.joint_names.index(self.joint)
        residual = (joints[:, here] - self.place) / self.sigma_m
        jacobian = joints_by_step[:, here] / self.sigma_m
        return Linearization(residual[:, None], jacobian[:, None], LeastSquares())


def main() -> tuple[float, float]:
    """Refine with keypoints alone and with the term added; return the wrist's distance from its place in mm."""
    scene = make_scene(anny.load(), count=1)
    photo = scene.photos[0].pixels
    keypoints = torch.cat((scene.true.keypoints_2d("coco17"), torch.full((1, 17, 1), 0.9)), -1).numpy()
    joint = scene.true.body.joint_names.index("right_wrist")
    touch = JointAt("right_wrist", scene.true.joints[:, joint])

    without = refine.fit(photo, scene.estimate, keypoints=keypoints)
    with_it = refine.fit(photo, scene.estimate, keypoints=keypoints, evidence=[touch])
    off = [1e3 * float((result.joints[0, joint] - touch.place[0]).norm()) for result in (without, with_it)]
    print(f"right wrist, from where it touches: {off[0]:.0f} mm with keypoints alone, {off[1]:.0f} mm with the term")
    return off[0], off[1]


if __name__ == "__main__":
    main()
