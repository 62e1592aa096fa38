"""Skinned body models: one class for every family, loaders by name, posing, and Jacobians."""

from refine.body.jacobian import PointJacobian
from refine.body.skinned_body import KeypointSet, SkinnedBody
from refine.body.skinning import PosedBody, pose_body
from refine.body.surface import SurfacePoints, surface_points

__all__ = ["KeypointSet", "PointJacobian", "PosedBody", "SkinnedBody", "SurfacePoints", "pose_body", "surface_points"]
