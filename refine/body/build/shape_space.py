"""The shape space: principal components of T-posed bodies, vertices and joints together.

    [vertices; joints] = mean + basis @ shape,    shape has unit variance over the drawn bodies

The components come from the vertices that are shipped; every other point (helpers, joints, finger tips) follows by the
same scores: basis = sum_n (x_n - mean) score_n / N.

Source: Loper et al., SMPL, ACM TOG 34(6), 2015, sec. 3 (shape blend shapes).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.build.anny_source import AnnySource, draw_phenotypes, rest_bodies
from refine.body.build.rest_pose import t_pose

COMPONENTS = 16
BATCH = 32
"""Bodies posed at a time; bounds memory only."""


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """Mean and basis of a family of T-posed bodies.

    Attributes:
        template: (V, 3) m, the full base mesh.
        shape_basis: (V, 3, S) m per unit coefficient.
        joint_template: (J, 3) m; `joint_basis` (J, 3, S) m per unit coefficient.
        explained: (S,) share of the shipped vertices' variance each component holds.
    """

    template: Float[Tensor, "V 3"]
    shape_basis: Float[Tensor, "V 3 S"]
    joint_template: Float[Tensor, "J 3"]
    joint_basis: Float[Tensor, "J 3 S"]
    explained: Float[Tensor, "S"]


def draw_t_posed(
    source: AnnySource, count: int, seed: int, years: tuple[float, float]
) -> tuple[Float[Tensor, "N V 3"], Float[Tensor, "N 55 3"]]:
    """Draw bodies and pose them as SMPL's rest.

    Args:
        source: The loaded package.
        count: N.
        seed: Seed of the draw.
        years: Youngest and oldest age.

    Returns:
        vertices (N, 19158, 3) m float32, joints (N, 55, 3) m float64; the pelvis at the origin.
    """
    phenotypes = draw_phenotypes(source, count, seed, years)
    posed = [t_pose(source, rest_bodies(source, part)) for part in phenotypes.split(BATCH)]
    return torch.cat([p.vertices.float() for p in posed]), torch.cat([p.joints for p in posed])


def principal_components(
    vertices: Float[Tensor, "N V 3"],
    joints: Float[Tensor, "N J 3"],
    shipped: Int[Tensor, "W"],
    components: int = COMPONENTS,
) -> ShapeSpace:
    """Fit the shape space.

    Args:
        vertices: (N, V, 3) m.
        joints: (N, J, 3) m.
        shipped: (W,) the vertices whose variance the components are fitted to.
        components: S.

    Returns:
        The space, float64; signs are such that a positive coefficient stretches the body upwards.
    """
    count = len(vertices)
    seen = vertices[:, shipped].flatten(1)
    seen = seen - seen.double().mean(0).float()
    gram = torch.zeros(count, count, dtype=torch.float64)
    for columns in seen.split(6000, 1):
        gram += columns.double() @ columns.double().T
    values, vectors = torch.linalg.eigh(gram)
    scores = vectors.flip(1)[:, :components] * count**0.5  # (N, S), unit variance
    mean, joint_mean = vertices.double().mean(0), joints.mean(0)
    basis = torch.stack([(vertices - mean.float()).flatten(1).T @ s for s in scores.float().T], 1).double() / count
    basis = basis.unflatten(0, mean.shape)
    joint_basis = torch.einsum("njk,ns->jks", joints - joint_mean, scores) / count
    upwards = mean[shipped, 1] - mean[shipped, 1].mean()
    taller = basis[shipped, 1].T @ upwards  # (S,)
    sign = torch.where(taller < 0, -1.0, 1.0).double()
    return ShapeSpace(mean, basis * sign, joint_mean, joint_basis * sign, values.flip(0)[:components] / values.sum())
