"""Measures of a body at rest: standing height and volume as functions of the shape, with their gradients.

    height = max_v y_v - min_v y_v                        y_v = template_v + basis_v . shape, on the rest body's up axis
    volume = 1/6 Σ_faces x0 . (x1 x x2)                             divergence theorem on the closed surface
           = Σ_ijk T_ijk a_i a_j a_k,   a = (1, shape)              since vertices are linear in shape: T once a body
    d volume / d x_v = 1/6 Σ_faces at v, x_next x x_after
        the plain twin, for shape spaces of more than `MOST_COEFFICIENTS`

Open rims (the mouth of SMPL-X) are closed by a fan of triangles to the rim's middle. Eyes, teeth and tongue of the
built-in body are closed parts of their own inside the sockets and the mouth that the skin already leaves out: they
count as they should, 59 of 63,201 ml together.

Source: Zhang and Chen, Efficient feature extraction for 2D/3D objects in mesh representation, ICIP 2001, eq. 5 (signed
tetrahedra).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody

UP = 1
"""The axis of a rest body that points up (`SkinnedBody`)."""

MOST_COEFFICIENTS = 40
"""Of a shape space whose volume is a polynomial: (40 + 1)³ numbers, half a megabyte; beyond, the mesh is summed."""

FACES_AT_ONCE = 4096
"""Of the polynomial's sum, so that its working memory stays below 60 MB."""


@dataclass(frozen=True, eq=False)
class RestMeasures:
    """Height and volume of a body model by shape.

    Attributes:
        up: (S + 1, V) m, template and basis on the up axis.
        corners: (S + 1, W, 3) m, template and basis of the vertices and of the middles of open rims.
        faces: (F, 3) into the W points, closed.
        cubic: (S + 1, S + 1, S + 1) m³, or None where the shape space is large.
    """

    up: Float[Tensor, "C V"]
    corners: Float[Tensor, "C W 3"]
    faces: Int[Tensor, "F 3"]
    cubic: Float[Tensor, "C C C"] | None

    def height(self, shape: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B S"]]:
        """Return the height from sole to crown (B,) m, and its gradient (B, S), m per unit, at the extreme vertices."""
        up = self.up.to(shape)
        level = torch.addmm(up[0], shape, up[1:])  # (B, V) m
        top, bottom = level.max(1), level.min(1)
        return top.values - bottom.values, (up[1:, top.indices] - up[1:, bottom.indices]).mT

    def volume(self, shape: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B S"]]:
        """Return the volume (B,) m³, and its gradient (B, S), m³ per unit."""
        if self.cubic is None:
            return self.volume_of_mesh(shape)
        whole = torch.cat((torch.ones_like(shape[:, :1]), shape), 1)  # (B, C)
        cubic = self.cubic.to(shape)
        matrix = (whole @ cubic.flatten(1)).unflatten(1, cubic.shape[1:])  # (B, C, C)
        gradient = (matrix @ whole[..., None])[..., 0]  # (B, C), a third of the derivative: T is symmetric
        return (gradient * whole).sum(1), 3 * gradient[:, 1:]

    def volume_of_mesh(self, shape: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B"], Float[Tensor, "B S"]]:
        """As `volume`, by the faces: the plain twin."""
        corners = self.corners.to(shape)
        point = corners[0] + (shape @ corners[1:].flatten(1)).unflatten(1, corners.shape[1:])  # (B, W, 3) m
        corner = point[:, self.faces].unbind(2)  # three of (B, F, 3)
        slope = torch.zeros_like(point)
        for turn in range(3):
            outward = torch.linalg.cross(corner[turn - 2], corner[turn - 1]) / 6
            slope = slope.index_add(1, self.faces[:, turn], outward)
        return (point * slope).sum((1, 2)) / 3, torch.einsum("bwk,swk->bs", slope, corners[1:])


def rest_measures(body: SkinnedBody) -> RestMeasures:
    """Prepare the measures of a body model: a second or two of sums over its faces, once.

    Args:
        body: The model.

    Returns:
        Its measures, in float64 on the body's device.
    """
    whole = torch.cat((body.template[..., None], body.shape_basis), 2).double().permute(2, 0, 1)  # (C, V, 3) m
    caps, middles = _close(body.faces, len(body.template))
    middle = torch.stack([whole[:, rim].mean(1) for rim in middles], 1) if middles else whole[:, :0]
    corners, faces = torch.cat((whole, middle), 1).contiguous(), torch.cat((body.faces, caps))
    # The volume of a closed surface does not depend on the origin; near the middle it rounds least.
    corners[0] -= corners[0].mean(0)
    cubic = _cubic(corners, faces) if len(whole) <= MOST_COEFFICIENTS + 1 else None
    return RestMeasures(whole[..., UP].contiguous(), corners, faces, cubic)


def _cubic(corners: Float[Tensor, "C W 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "C C C"]:
    """Sum the faces' determinants as a symmetric cubic form of the coefficients."""
    count = len(corners)
    form = corners.new_zeros(count, count * count)
    for chosen in faces.split(FACES_AT_ONCE):
        first, second, third = (corners[:, chosen[:, corner]].permute(2, 0, 1) for corner in range(3))  # (3, C, f)
        for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            pair = second[y, :, None] * third[z] - second[z, :, None] * third[y]  # (C, C, f)
            form += first[x] @ pair.flatten(0, 1).mT
    form3 = form.reshape(count, count, count) / 6
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    return torch.stack([form3.permute(order) for order in orders]).mean(0)


def _close(faces: Int[Tensor, "F 3"], vertices: int) -> tuple[Int[Tensor, "R 3"], list[Int[Tensor, "N"]]]:
    """Find the open rims: caps to the middles (indices from `vertices` on), and the vertices of each rim.

    A directed edge without its opposite lies on a rim; the cap runs it the other way. Rims that touch are one.
    """
    edge = torch.cat((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    key, opposite = edge[:, 0] * vertices + edge[:, 1], edge[:, 1] * vertices + edge[:, 0]
    rim = edge[~torch.isin(key, opposite)]
    label = torch.arange(vertices, device=faces.device)
    while True:  # the smallest index spreads along each rim
        lower = label.scatter_reduce(0, rim[:, 0], label[rim[:, 1]], "amin")
        lower = lower.scatter_reduce(0, rim[:, 1], lower[rim[:, 0]], "amin")
        if torch.equal(lower, label):
            break
        label = lower
    names, which = torch.unique(label[rim[:, 0]], return_inverse=True)
    middles = [torch.unique(rim[which == number]) for number in range(len(names))]
    return torch.stack((rim[:, 1], rim[:, 0], vertices + which), 1), middles
