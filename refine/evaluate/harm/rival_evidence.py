"""The evidence as other fitting code takes it: weighted keypoints, surface points with targets, px of the photo.

Dense matches are those this library takes from the same stand-in, of a rendering of the estimate as it is when the
rival looks; their stated sigmas are dropped, as CamSMPLify drops them, but for zeros, which mean "not seen". There are
as many as CamSMPLify has, 138: since errors hang together, more would say no more and take longer.

Source: `refine.dense.correspondence`.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from refine.body import pose_body
from refine.dense.correspondence import correspond
from refine.evaluate.harm.evidence import CROP_PX, KEYPOINTS, Evidence
from refine.evaluate.harm.sampled_skin import SampledSkin, points_of
from refine.evaluate.harm.scene import Case
from refine.geometry.camera import Camera
from refine.geometry.crop import square_around
from refine.refiner import Refiner
from refine.render.view import render_view
from refine.state import State
from refine.terms.keypoints import DetectorNoise

MATCHES = 138
"""Surface points of CamSMPLify."""
TORSO_PARTS = ("pelvis", "abdomen", "chest", "left_shoulder", "right_shoulder")
TORSO_POINTS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
LOOSE_POINTS = ("left_hip", "right_hip")
"""SPIN and CamSMPLify leave hips (and the neck) out of the fit of the pose."""


@dataclass(frozen=True, eq=False)
class RivalEvidence:
    """K keypoints and N matches of B bodies.

    Attributes:
        skin: K + N points of the surface and, for keypoints made of joints, nothing.
        joint_weights: (K, J) share of each joint in a keypoint, zeros where it lies on the surface.
        target: (B, K + N, 2) px of the photo.
        confidence: (B, K + N) of keypoints 0 to 1, of matches 0 or 1.
        keypoints: K.
        camera: B cameras.
        side: (B,) px of the photo, side of the crop around the person.
        torso: (B, K + N) which points are of the trunk.
        loose: (K + N,) which are hips.
    """

    skin: SampledSkin
    joint_weights: Float[Tensor, "K J"]
    target: Float[Tensor, "B M 2"]
    confidence: Float[Tensor, "B M"]
    keypoints: int
    camera: Camera
    side: Float[Tensor, "B"]
    torso: Float[Tensor, "B M"]
    loose: Float[Tensor, "M"]

    def project(
        self, pose: Float[Tensor, "B J 3 3"], shape: Float[Tensor, "B S"], translation: Float[Tensor, "B 3"]
    ) -> Float[Tensor, "B M 2"]:
        """Return where the points are seen, px of the photo; differentiable."""
        point, joints = self.skin(pose, shape, translation)
        named = point[:, : self.keypoints] + self.joint_weights @ joints
        return self.camera.project(torch.cat((named, point[:, self.keypoints :]), 1))


def look(case: Case, evidence: Evidence, state: State) -> RivalEvidence:
    """Gather the evidence for bodies as they are now.

    Args:
        case: B bodies; row b of the state belongs to photo `case.estimate.image_index[b]`.
        evidence: Of the same scene.
        state: R bodies, the case's repeated one or more times in its order.
    """
    body = case.scene.body
    times = len(state) // len(case)
    who = torch.arange(len(case)).repeat(times)
    camera = state.camera
    vertices = pose_body(body, state.bodies).vertices
    _, side = square_around(camera.project(vertices), within=camera.size)
    points = body.keypoint_set(KEYPOINTS)
    count = len(points.names)
    triangle, barycentric = points.triangle.expand(len(state), -1), points.barycentric.expand(len(state), -1, -1)
    detections = evidence.detections
    target, confidence = vertices.new_zeros(len(state), count, 2), vertices.new_zeros(len(state), count)
    if detections is not None:
        # What carries no information for us (hardly sure, or on the border) carries none for them.
        least = DetectorNoise().least_confidence
        sure = detections.confidence >= least
        target = torch.where(sure[..., None], detections.pixel, 0.0)[who]
        confidence = torch.where(sure, detections.confidence, 0.0)[who]
    torso = torch.tensor([float(name in TORSO_POINTS) for name in points.names]).expand(len(state), -1)
    if evidence.displacer is not None:
        estimate = replace(case.estimate.rows(who), state=state)
        refiner = Refiner(crop_px=CROP_PX)
        view = render_view(case.photos, estimate, refiner.rasterizer, CROP_PX)
        parts = body.vertex_parts[body.faces[:, 0]]
        said = evidence.displacer.displace(view)
        matching = replace(evidence.matching, count=MATCHES)
        matches = correspond(view.fragments, said, view.crop.image_from_crop, matching, parts)
        seen = (matches.sqrt_information != 0).flatten(2).any(2).to(target)
        of_torso = torch.tensor([float(name in TORSO_PARTS) for name in body.part_names])
        triangle = torch.cat((triangle, matches.triangle), 1)
        barycentric = torch.cat((barycentric, matches.barycentric), 1)
        target = torch.cat((target, matches.target), 1)
        confidence = torch.cat((confidence, seen), 1)
        torso = torch.cat((torso, of_torso[parts[matches.triangle]]), 1)
    loose = torch.zeros(target.shape[1])
    loose[[points.names.index(name) for name in LOOSE_POINTS]] = 1.0
    skin = points_of(body, triangle, barycentric)
    return RivalEvidence(skin, points.joint_weights, target, confidence, count, camera, side, torso, loose)
