"""Evidence in space in the harm benchmark: 3D joints, orientations, trackers and clouds, alone or beside keypoints.

    lifted      17 joints relative to the pelvis, 50 mm MPJPE: 31 mm an axis          (a lifting network's, in the wild)
    depths      2.5D: a detector's pixels, and depths relative to the pelvis, sigma 50 mm
    facing      the trunk's yaw, sigma 10.5 degrees: a mean absolute error of 8.4       (MEBOW)
    trackers    head and wrists, 10 mm and 3 degrees                                    (a headset and its controllers)
    view        a depth sensor's cloud from the photo's camera, sigma 10 mm along the rays, alike on 5 cm
    scan        a full scan, sigma 3 mm along the normals, alike on 5 cm

Errors of joints are independent; half of a cloud's variance is alike on squares of the surface of 5 cm. "other": of
somebody else in the same place; "clothing": clouds of cloth 1 to 3 cm outside the skin.

Source: Martinez et al., ICCV 2017 and Pavllo et al., VideoPose3D, CVPR 2019 (45 to 60 mm MPJPE on H36M); Wu et al.,
MEBOW, CVPR 2020 (mean absolute error 8.4 degrees); Nguyen et al., Modeling Kinect sensor noise, 3DIMPVT 2012 (1.2 mm +
1.9 mm (z - 0.4 m)²: 10 mm at 2.5 m).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from refine.body import PosedBody, pose_body
from refine.body.nearest import spread
from refine.estimate import Estimate
from refine.evaluate.harm.dense import clothed
from refine.evaluate.harm.evidence import Evidence, generators
from refine.geometry import rotation
from refine.keypoints.joints3d import point_set
from refine.render import shade
from refine.render.rasterize import default_rasterizer, rasterize
from refine.terms import Term
from refine.terms.clouds import point_cloud
from refine.terms.joints3d import joints3d
from refine.terms.keypoints import DetectorNoise
from refine.terms.lifted import joints25d
from refine.terms.orientation import Facing
from refine.terms.point_cloud import Cloth
from refine.terms.trackers import trackers

LIFTED_M = 0.05 / 1.596
"""An axis of normal errors whose mean length is 50 mm."""
DEPTH_M, YAW_RAD = 0.05, 0.183
TRACKED, TRACKED_M, TRACKED_RAD = ("head", "left_wrist", "right_wrist"), 0.01, 0.052
VIEW_M, SCAN_M, PATCH_M = 0.01, 0.003, 0.05
CHORD_M = 0.003
"""What the term's coarse surface adds to a scan's error."""
SEEN_CONFIDENCE = 0.9
RENDERED_PX, SCANNED = 192, 6000


def lifted(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return joints relative to the pelvis."""
    points = point_set(estimate.body, "h36m17")
    place = _posed(evidence).keypoints(points)
    said = place - place[:, :1] + LIFTED_M * _drawn(evidence, 41, *place.shape[1:])
    return (joints3d(points, said, torch.full_like(said[..., 0], LIFTED_M), shift=True),)


def depths(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return pixels and depths relative to the pelvis."""
    points, camera = point_set(estimate.body, "h36m17"), evidence.shown.camera
    place = _posed(evidence).keypoints(points)
    pixel = camera.project(place)
    extent = camera.size.flip(1)[:, None]
    inside = ((pixel > 0) & (pixel < extent)).all(-1)
    seen = torch.minimum(pixel.clamp(min=0), extent)
    area = (seen.amax(1) - seen.amin(1)).clamp(min=1.0).prod(1)
    noise = DetectorNoise(border_share=0.0)
    sigma = noise.sigma_px(points.names, extent / 2 + 0 * pixel, 0 * pixel[..., 0] + SEEN_CONFIDENCE, area, camera.size)
    drawn = _drawn(evidence, 43, len(points.names), 3)
    far = place[..., 2:] - place[:, :1, 2:] + DEPTH_M * drawn[..., 2:]
    said = torch.cat((pixel + sigma[..., None] * drawn[..., :2], far), -1)
    sigma_px = torch.where(inside, sigma, torch.inf)
    return (joints25d(points, said, sigma_px, torch.where(inside, DEPTH_M, torch.inf).to(sigma)),)


def facing(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return the trunk's yaw."""
    front = _posed(evidence).rotations[:, estimate.body.joint_names.index("spine3"), :, 2]
    yaw = torch.atan2(-front[:, 0], front[:, 2]) + YAW_RAD * _drawn(evidence, 47)
    return (Facing(yaw, torch.full_like(yaw, YAW_RAD)),)


def tracked(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return head and wrists."""
    posed, names = _posed(evidence), estimate.body.joint_names
    numbers = [names.index(name) for name in TRACKED]
    place = posed.joints[:, numbers] + TRACKED_M * _drawn(evidence, 53, 3, 3)
    turn = rotation.exp(TRACKED_RAD * _drawn(evidence, 59, 3, 3)) @ posed.rotations[:, numbers]
    return (trackers(TRACKED, position=place, rotation=turn, sigma_m=TRACKED_M, sigma_rad=TRACKED_RAD),)


def view(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return a depth sensor's clouds from the photo's camera."""
    vertices, body, camera = _skin(evidence), estimate.body, evidence.shown.camera
    ratio = RENDERED_PX / camera.size.amax(1)
    resized = torch.zeros(len(vertices), 2, 3).to(vertices)
    resized[:, 0, 0], resized[:, 1, 1] = ratio, ratio
    small = camera.transformed(resized, camera.size * ratio[:, None])
    shown = rasterize(default_rasterizer(), vertices, body.faces, small, RENDERED_PX, RENDERED_PX)
    clouds = []
    for row in range(len(vertices)):
        height, width = small.size[row].tolist()
        across = torch.arange(RENDERED_PX)
        within = (across[:, None] < height) & (across[None] < width)
        place = ((shown.triangle[row] >= 0) & within).nonzero()
        corner = vertices[row, body.faces[shown.triangle[row, place[:, 0], place[:, 1]].long()]]
        point = (shown.barycentric[row, place[:, 0], place[:, 1], :, None] * corner).sum(1)
        ray = torch.nn.functional.normalize(point, dim=1)
        clouds.append(point + VIEW_M * _patchy(evidence, row, point)[:, None] * ray if len(point) > 1 else point)
    return (_term(evidence, estimate, clouds, (0.0, 0.0, 0.0), VIEW_M),)


def scan(evidence: Evidence, estimate: Estimate) -> tuple[Term, ...]:
    """Return full scans."""
    vertices, faces = _skin(evidence), estimate.body.faces
    clouds = []
    for row, generator in enumerate(generators(evidence, 71)):
        corner = vertices[row, faces]
        cross = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        some = torch.multinomial(cross.norm(dim=1), SCANNED, replacement=True, generator=generator)
        one, two = torch.rand(SCANNED, generator=generator).sqrt(), torch.rand(SCANNED, generator=generator)
        weights = torch.stack((1 - one, one * (1 - two), one * two), 1)
        point = (weights[..., None] * corner[some]).sum(1)
        outward = torch.nn.functional.normalize(cross[some], dim=1)
        clouds.append(point + SCAN_M * _patchy(evidence, row, point)[:, None] * outward)
    return (_term(evidence, estimate, clouds, None, (SCAN_M**2 + CHORD_M**2) ** 0.5),)


POINT_SOURCES: Mapping[str, Callable[[Evidence, Estimate], tuple[Term, ...]]] = {
    "lifted": lifted, "depths": depths, "facing": facing, "trackers": tracked, "view": view, "scan": scan,
}  # fmt: skip
"""By name; "name+keypoints" has a detector's keypoints beside it."""


def _term(
    evidence: Evidence, estimate: Estimate, clouds: list[Tensor], viewpoint: tuple[float, float, float] | None,
    sigma: float,
) -> Term:  # fmt: skip
    cloth = Cloth() if evidence.kind == "clothing" else None
    # A person of whom the camera shows nothing has no cloud.
    some = [cloud if len(cloud) > 1 else None for cloud in clouds]
    # Another person's may lie so far off that it would be refused before anything is fitted.
    joints = None if evidence.kind == "other" else estimate.joints
    return point_cloud(some, joints=joints, viewpoint=viewpoint, sigma_m=sigma, cloth=cloth)


def _posed(evidence: Evidence) -> PosedBody:
    return pose_body(evidence.scene.body, evidence.shown.bodies)


def _skin(evidence: Evidence) -> Tensor:
    """Return the surface (B, V, 3) m that is seen."""
    scene = evidence.scene
    if evidence.kind == "other":
        return scene.other_vertices
    if evidence.kind != "clothing":
        return scene.vertices
    normals = shade.vertex_normals(scene.vertices, scene.body.faces)
    return clothed(scene.body, scene.vertices, normals, scene.seed)


def _drawn(evidence: Evidence, salt: int, *shape: int) -> Tensor:
    """Return standard normal numbers (B, ...), each body's own whatever the batch."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators(evidence, salt)])


def _patchy(evidence: Evidence, row: int, points: Tensor) -> Tensor:
    """Return normal numbers (N,) of which half of the variance is alike on patches of `PATCH_M`."""
    generator = generators(evidence, 61)[row]
    count = min(len(points), 1200)
    middle = points[spread(points, count)]
    gaps = torch.stack([(middle[:place] - middle[place]).norm(dim=1).amin() for place in range(1, count)])
    middle = middle[: 1 + int((gaps > PATCH_M).sum())]
    patch = torch.cdist(points, middle).argmin(1)
    alike = torch.randn(len(middle), generator=generator)[patch]
    return (alike + torch.randn(len(points), generator=generator)) / 2**0.5
