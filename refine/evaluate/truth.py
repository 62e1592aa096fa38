"""The true displacement of a rendered estimate, and what of it can be seen in the photo.

    offset(pixel) = crop_from_photo( project(true surface point) ) - pixel centre
    visible = inside the photo and the crop, faces the camera, not behind the person's own body, others or objects

The person's own clothes and hair never hide a point: what is a centimetre under the cloth still moves with it.

Source: Wehrbein et al., ICCVW 2023, sec. 3.2; depth test with slack: Williams, SIGGRAPH 1978.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from refine.body import SkinnedBody
from refine.geometry.camera import NEAR_M, Camera
from refine.geometry.crop import Crop
from refine.render import Fragments, shade

OWN_SLACK_M, OTHERS_SLACK_M = 0.02, 0.01
"""How far behind the nearest surface a point still counts as seen: of the own body (the pixel grid is coarse), of
others (cloth is in front of skin)."""
GRAZING = 0.05
"""Cosine between surface and view below which a point is seen from behind."""


@dataclass(frozen=True, eq=False)
class Truth:
    """`offset` (B, S, S, 2) px, zero on the background; `inside` and `visible` (B, S, S)."""

    offset: Float[Tensor, "B S S 2"]
    inside: Bool[Tensor, "B S S"]
    visible: Bool[Tensor, "B S S"]


def true_displacement(
    body: SkinnedBody,
    vertices: Float[Tensor, "B V 3"],
    camera: Camera,
    fragments: Fragments,
    crop: Crop,
    photo_size: Float[Tensor, "B 2"],
    own: Float[Tensor, "B S S"],
    others: Float[Tensor, "B S S"],
    opacity: Float[Tensor, "B S S"],
) -> Truth:
    """Measure where rendered surface points really are.

    Args:
        body: The model.
        vertices: (B, V, 3) m, the true bodies in the camera frame of their photos.
        camera: B cameras of the crops, as the photos were taken.
        fragments: (B, S, S) what the crops' pixels see of the estimates.
        crop: Where the crops lie in the photos.
        photo_size: (B, 2) px, height and width of the photos.
        own: (B, S, S) m, depth of the true bodies in the crops, infinite where they are not.
        others: (B, S, S) m, depth of other people in the crops, infinite where there are none.
        opacity: (B, S, S) of things in front.
    """
    size = crop.side
    count = len(vertices)
    body_index, row, column = (fragments.triangle >= 0).nonzero(as_tuple=True)
    where = (body_index, row, column)
    share = fragments.barycentric[where]
    corners = vertices[body_index[:, None], body.faces[fragments.triangle[where]]]  # (N, 3, 3) m
    point = (share[..., None] * corners).sum(1)
    focal, center = camera.focal[body_index], camera.center[body_index]
    depth = point[:, 2]
    pixel = focal * point[:, :2] / depth.clamp(min=NEAR_M)[:, None] + center
    start = torch.stack((column, row), 1).to(pixel) + 0.5
    offset = vertices.new_zeros(count, size, size, 2).index_put(where, pixel - start)

    limit = crop.to_crop(torch.stack((torch.zeros_like(photo_size), photo_size.flip(1)), 1))[body_index]  # (N, 2, 2)
    inside = (depth > NEAR_M) & (pixel >= limit[:, 0]).all(1) & (pixel <= limit[:, 1]).all(1)
    in_crop = ((pixel >= 0) & (pixel < size)).all(1)
    normal = (corners[:, 1] - corners[:, 0]).cross(corners[:, 2] - corners[:, 0], dim=1)
    facing = -(normal * point).sum(1) > GRAZING * normal.norm(dim=1) * point.norm(dim=1)

    at = pixel.floor().long().clamp(0, size - 1)
    spot = (body_index, at[:, 1], at[:, 0])
    # The farthest surface among the neighbouring pixels: on a slope the pixel's own depth may be nearer than the
    # point's.
    known = torch.where(own.isfinite(), own, -torch.inf)
    farthest = torch.nn.functional.max_pool2d(known[:, None], 3, 1, 1)[:, 0]
    farthest = torch.where(farthest.isfinite(), farthest, torch.inf)
    free = (depth <= farthest[spot] + OWN_SLACK_M) & (depth <= others[spot] + OTHERS_SLACK_M) & (opacity[spot] < 0.5)
    seen = torch.zeros_like(fragments.triangle, dtype=torch.bool)
    return Truth(offset, seen.index_put(where, inside), seen.index_put(where, inside & in_crop & facing & free))


def body_normals(body: SkinnedBody) -> Callable[[Tensor], Tensor]:
    """Return a function for smooth vertex normals (B, V, 3) of vertices (B, V, 3), by one sparse product."""
    count, faces = len(body.template), body.faces
    index = torch.stack((faces.flatten(), torch.arange(len(faces), device=faces.device).repeat_interleave(3)))
    sums = torch.sparse_coo_tensor(
        index, torch.ones(index.shape[1]).to(body.template), (count, len(faces)), check_invariants=True
    ).coalesce()

    def normals(vertices: Tensor) -> Tensor:
        if not len(vertices):
            return shade.vertex_normals(vertices, faces)
        rows = vertices.transpose(0, 1).reshape(count, -1)  # (V, 3 B): a gathered row serves all bodies
        a, b, c = (rows[faces[:, corner]].unflatten(1, (-1, 3)) for corner in range(3))
        flat = (b - a).cross(c - a, dim=2).flatten(1)  # (F, 3 B)
        return torch.nn.functional.normalize(torch.sparse.mm(sums, flat).reshape(count, -1, 3).transpose(0, 1), dim=2)

    return normals
