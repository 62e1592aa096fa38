"""3D joints and point clouds from files, and the evidence they are for estimated bodies.

    VideoPose3D   --viz-export: npy (T, 17, 3), camera frame, the pelvis (nearly) zero, H36M's people's size
    MotionBERT    X3D.npy (T, 17, 3), the pelvis zero, in shares of the crop
    MeTRAbs       npz: coords3d_pred_world (N, 17, 3) mm, image_path (N,); or a prediction's poses3d (P, K, 3) mm
    others        npy, npz, pkl or JSON: (P, K, 3), or (P, H, K, 3) with H readings of each pose
    clouds        ply; npy or npz (N, 3) or (N, 6), points and normals, m, in the camera's frame

A lifting network does not know how far away a person is, and hardly how tall: shift and scale are open; MeTRAbs' scale
is not, which says metres. Axes are those of the camera, +x right, +y down, +z forward.

Source: facebookresearch/VideoPose3D@36b6214668 `run.py` (viz_export); Walter0807/MotionBERT@c5db08c5ff `infer_wild.py`;
isarandi/metrabs@723a46545f `metrabs_tf/inference_scripts/predict_mupots.py`, `predict_h36m.py`, `demos/demo_image.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refine.check import check_local
from refine.errors import InputError
from refine.estimate import Estimate
from refine.files.json_file import read_json
from refine.files.npz import read_arrays
from refine.files.pickled import read_pickled
from refine.files.ply import read_ply_points
from refine.keypoints.joints3d import ORDERS, definition_sigma_m, point_set
from refine.terms import Term
from refine.terms.alternatives import alternatives
from refine.terms.clouds import point_cloud
from refine.terms.joints3d import joints3d
from refine.terms.point_cloud import Cloth

BY_COUNT = {17: "h36m17", 24: "smpl24", 25: "body25", 55: "smplx55"}
"""Orders of files that do not say theirs, by the number of joints."""
METRABS = ("coords3d_pred_world", "poses3d")
POSES = ("joints3d", "joints_3d", "poses_3d", "pose_3d", "keypoints_3d", "kpts_3d", "positions_3d", "pred_3d")
CLOUDS = ("points", "vertices", "xyz", "pc", "cloud")
ACROSS_M, ALONG_M = 0.03, 0.06
"""Standard deviation of a lifting network's joint relative to the root, across the view and in depth, m: mean errors of
45 to 60 mm where it was trained, larger in the wild, most of them in depth (a judgement)."""
HUMAN_M = 20.0
"""Joints farther apart than this are in millimetres."""
LEAST_CLOUD = 50
"""Points of the smallest cloud: fewer are joints of one person."""


@dataclass(frozen=True, eq=False)
class Poses:
    """3D joints of P people or frames.

    Attributes:
        joints: (P, H, K, 3), H readings of each.
        order: Their order (`refine.keypoints.joints3d`).
        scale: Whether their unit is open.
        origin: What file they are of.
        images: P names of photos, or none.
    """

    joints: np.ndarray
    order: str
    scale: bool
    origin: str
    images: tuple[str, ...] = ()

    def of(self, rows: list[int]) -> "Poses":
        """Return some of them."""
        images = tuple(self.images[row] for row in rows) if self.images else ()
        return replace(self, joints=self.joints[rows], images=images)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points in space, of one person or of a scene.

    Attributes:
        points: (N, 3) m, camera frame.
        normals: (N, 3), or None.
        origin: What file they are of.
    """

    points: np.ndarray
    normals: np.ndarray | None
    origin: str


def read_points3d(path: str | Path, order: str | None = None) -> Poses | Cloud:
    """Read 3D joints or a cloud.

    Args:
        path: A npy, npz, pkl, JSON or ply file. "FILE=ORDER" names the order of its joints.
        order: The order of its joints; None: as the path says, else by their number and the tool.

    Raises:
        InputError: The file is missing, broken, or holds neither.
    """
    text, _, named = str(path).rpartition("=")
    if text and order is None and not Path(path).is_file():
        path, order = text, named
    path = Path(path).expanduser()
    if not path.is_file():
        check_local("points3d", path)
        raise InputError("points3d", "a file", f"nothing at {path}")
    if path.suffix.lower() == ".ply":
        points, normals = read_ply_points(path)
        return Cloud(points, normals, path.name)
    content = _content(path)
    if isinstance(content, Mapping):
        for name in METRABS:
            if name in content:
                return _metrabs(content, name, path.name, order)
        found = next((name for name in (*POSES, *CLOUDS) if name in content), None)
        if found is None:
            raise InputError(
                str(path), f"one of {', '.join((*METRABS, *POSES, *CLOUDS))}", ", ".join(map(str, content))
            )
        if found in CLOUDS:
            return _cloud(_array(content[found], path), content.get("normals"), path.name)
        content = content[found]
    array = _array(content, path)
    if array.ndim == 2 and len(array) >= LEAST_CLOUD:
        return _cloud(array, None, path.name)
    return _poses(array, path.name, order, scale=True)


def _content(path: Path) -> Any:
    if path.suffix.lower() == ".npz":
        return read_arrays(path)
    if path.suffix.lower() == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InputError(str(path), "an array of numbers", str(error).splitlines()[0]) from None
    return read_json(path) if path.suffix.lower() == ".json" else read_pickled(path)


def _array(value: object, path: Path | str) -> np.ndarray:
    try:
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(str(path), "one array of numbers", type(value).__name__) from None
    return array


def _metrabs(content: Mapping[str, Any], name: str, origin: str, order: str | None) -> Poses:
    array = _array(content[name], origin)
    images = tuple(str(each) for each in np.asarray(content["image_path"]).ravel()) if "image_path" in content else ()
    if order is None and array.ndim >= 2 and array.shape[-2] == 17:
        order = "mupots17" if any("mupots" in each for each in images) else "metrabs17"
    return replace(_poses(array, origin, order, scale=False), images=images)


def _poses(array: np.ndarray, origin: str, order: str | None, *, scale: bool) -> Poses:
    array = array[None] if array.ndim == 2 else array
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or not array.size:
        got = f"shape {array.shape}"
        raise InputError(origin, "joints (P, K, 3), or (P, H, K, 3) with H readings of each", got)
    array = array[:, None] if array.ndim == 3 else array
    order = order or BY_COUNT.get(array.shape[2])
    if order is None:
        known = ", ".join(f"{count}: {name}" for count, name in BY_COUNT.items())
        advice = f"Name their order: {origin}=ORDER, one of {', '.join(ORDERS)} or a keypoint set of the body."
        raise InputError(origin, f"a known number of joints ({known})", str(array.shape[2]), advice)
    extent = np.nanmax(array, axis=2, initial=-np.inf) - np.nanmin(array, axis=2, initial=np.inf)
    if not scale and float(np.nanmedian(np.where(np.isfinite(extent), extent, np.nan).max(-1))) > HUMAN_M:
        array = array / 1000
    return Poses(array, order, scale, origin)


def _cloud(array: np.ndarray, normals: object, origin: str) -> Cloud:
    if array.ndim != 2 or array.shape[1] not in (3, 6):
        raise InputError(origin, "points (N, 3), or (N, 6) with normals", f"shape {array.shape}")
    way = array[:, 3:] if array.shape[1] == 6 else None if normals is None else _array(normals, origin)
    return Cloud(array[:, :3], way, origin)


def evidence_of(found: Poses | Cloud, estimate: Estimate, *, cloth: Cloth | None = None) -> tuple[Term, ...]:
    """Return what a file says of estimated bodies.

    Args:
        found: Of the same people: as many poses as bodies, in their order, or a cloud.
        estimate: B bodies; those that a cloud has no point near are told nothing.
        cloth: How thick clothes are in a cloud; None: the usual.

    Raises:
        InputError: There are more or fewer poses than bodies, or the body has no such joints.
    """
    if isinstance(found, Cloud):
        return (_scanned(found, estimate, Cloth() if cloth is None else cloth),)
    count, people = len(found.joints), len(estimate)
    if count != people:
        advice = "Poses are taken in the order of the bodies; name a file of this photo's people."
        raise InputError(f"points3d {found.origin}", f"{people} poses, one a body", str(count), advice)
    points = point_set(estimate.body, found.order)
    if len(points.names) != found.joints.shape[2]:
        expected = f"{len(points.names)} joints ({found.order})"
        raise InputError(f"points3d {found.origin}", expected, str(found.joints.shape[2]))
    like = estimate.bodies.translation
    joints = torch.as_tensor(found.joints).to(like)  # (B, H, K, 3)
    own = definition_sigma_m(points.names).to(like)[:, None].square()
    variance = own + like.new_tensor([ACROSS_M, ACROSS_M, ALONG_M]).square()  # (K, 3) along the camera's axes
    world = estimate.camera.camera_from_world
    known = joints.isfinite().all(3)
    covariance = torch.diag_embed(variance).expand(people, -1, -1, -1)
    if world is not None:  # the file's axes are the camera's, the bodies' the world's
        turn = world[:, None, :, :3].mT
        joints = (turn[:, None] @ joints[..., None])[..., 0]
        covariance = turn @ covariance @ turn.mT
    unknown = torch.diag_embed(torch.full_like(variance, torch.inf))
    readings = [
        joints3d(
            points, joints[:, each], covariance=torch.where(known[:, each, :, None, None], covariance, unknown),
            shift=True, scale=found.scale,
        )
        for each in range(joints.shape[1])
    ]  # fmt: skip
    return (readings[0] if len(readings) == 1 else alternatives(readings),)


def _scanned(found: Cloud, estimate: Estimate, cloth: Cloth) -> Term:
    """Return the cloud around each body; a single view's unless it has points on both sides of the bodies."""
    points = torch.as_tensor(found.points)
    normals = None if found.normals is None else torch.as_tensor(found.normals)
    joints, world = estimate.joints, estimate.camera.camera_from_world
    clouds: list[Tensor | None] = []
    for row in range(len(estimate)):
        own = points
        if world is not None:
            own = (points - world[row, :, 3].cpu()) @ world[row, :, :3].cpu().to(points)
        clouds.append(own)
    if world is not None and normals is not None:
        ways: list[Tensor | None] = [normals @ world[row, :, :3].cpu().to(normals) for row in range(len(estimate))]
    else:
        ways = [normals] * len(estimate)
    eye = (0.0, 0.0, 0.0)
    if world is not None and len(estimate):
        eye = tuple((-world[0, :, :3].mT @ world[0, :, 3:])[:, 0].tolist())
    behind = _is_behind(points, estimate)
    return point_cloud(clouds, normals=ways, joints=joints, viewpoint=None if behind else eye, cloth=cloth)


LOOKED_AT = 20_000
BOTH_SIDES = 0.3
"""Share of a body's points beyond the middle of its joints, seen along the view, from which a cloud is a full scan."""


def _is_behind(points: Tensor, estimate: Estimate) -> bool:
    """Say whether a cloud has as many points behind the bodies as a full scan has: a single view shows their front."""
    seen = estimate.camera.transform(estimate.joints).double().cpu()
    points = points[:: max(1, len(points) // LOOKED_AT)]
    near = [(torch.cdist(points.double(), joints) < 0.15).any(1) for joints in seen]
    shares = [
        float((points[some][:, 2] > joints[torch.cdist(points[some].double(), joints).argmin(1), 2]).double().mean())
        for some, joints in zip(near, seen, strict=True)
        if bool(some.any())
    ]
    return bool(shares) and sum(shares) / len(shares) > BOTH_SIDES
