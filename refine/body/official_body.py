"""Builds a `SkinnedBody` from an official SMPL-family file; a `Layout` describes each family.

    shape basis       shapedirs[:, :, :betas]                 (+ age: kid - mean(kid) - v_template, one more column)
    expression basis  shapedirs[:, :, 300:300 + E] of a file with at least 400 columns, [:, :, 10:10 + E] of others
    rest joints       J_regressor @ (v_template + bases)      (linear, so folded once)
    mean pose         0, or hands_meanl and hands_meanr on the finger joints without `flat_hand_mean`

Source: the columns are those the package smplx 0.1.28 takes; age: Patel et al., AGORA, CVPR 2021 (SMPL+A).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from refine.body.landmarks_smpl import (
    INNER_FACE,
    LANDMARK_SOURCE,
    VERTICES_BY_COUNT,
    face_points,
    keypoint_sets,
    vertex_points,
)
from refine.body.official_file import OfficialArrays, read_official_file
from refine.body.skinned_body import SkinnedBody
from refine.errors import InputError

Double = NDArray[np.float64]

LEAST_WEIGHT = 1e-8
"""Skinning weights below are dropped: 52 of them on a body of 2 m move a vertex by a micrometre at most."""

DEFAULT_COEFFICIENTS = 10
"""Number of shape and of expression coefficients, the default of smplx and regressors."""

REQUIRED = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
HANDS = ("hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr")
OPTIONAL = ("vt", "ft", "lmk_faces_idx", "lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords")

CONVENTION = "T-pose at rest, x left, y up, z front, metres; the pelvis lies at its rest place + translation"


@dataclass(frozen=True)
class Layout:
    """The format of one family's files.

    Attributes:
        model: "smpl", "smplh" or "smplx".
        title: The family's name as its makers write it.
        page: Address for registration and download.
        joint_names: J names in the order of the file.
        file_names: Patterns of official file names with {gender} in capitals, {small} in small letters and {letter} (f,
            m, neutral).
        has_hands: Whether the file holds hand components and mean hand poses.
        has_expression: Whether `shapedirs` holds expression after shape.
    """

    model: str
    title: str
    page: str
    joint_names: tuple[str, ...]
    file_names: tuple[str, ...]
    has_hands: bool = True
    has_expression: bool = False


def _columns(asked: int | None, available: int, name: str, file: str) -> int:
    """Return the number of coefficients to keep."""
    if asked is None:
        return min(DEFAULT_COEFFICIENTS, available)
    if not 0 <= asked <= available:
        raise InputError(name, f"0 to {available}, which is what {file} holds", str(asked))
    return asked


def _bases(
    file: OfficialArrays, layout: Layout, betas: int | None, expressions: int | None, vertices: int
) -> tuple[Double, Double]:
    """Return the shape basis (V, 3, S) and the expression basis (V, 3, E)."""
    shapedirs = file.take("shapedirs", vertices, 3, None)
    width = shapedirs.shape[2]
    shapes, start, end = min(300, width), width, width
    if layout.has_expression:
        shapes, start, end = (300, 300, min(400, width)) if width >= 400 else (min(10, width), 10, min(20, width))
    shapes = _columns(betas, shapes, "betas", file.name)
    expressions = _columns(expressions, max(0, end - start), "expressions", file.name)
    return shapedirs[:, :, :shapes], shapedirs[:, :, start : start + expressions]


def _age_basis(path: Path, template: Double) -> Double:
    """Return the shape basis' column of age (V, 3, 1), from an adult to a child."""
    try:
        with path.open("rb") as stream:
            kid: NDArray[np.float64] = npy.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        advice = "It is smpl_kid_template.npy or smplx_kid_template.npy from https://agora.is.tue.mpg.de."
        raise InputError("kid_template", "a readable .npy file", f"{path.name} ({error})", advice) from error
    if kid.shape != template.shape:
        advice = "Each model family has a file of its own."
        raise InputError("kid_template", f"an array of shape {template.shape}", f"shape {kid.shape}", advice)
    centred: Double = kid.astype(np.float64) - kid.astype(np.float64).mean(0)
    return np.expand_dims(centred - template, 2)


def _slots(weights: Double, name: str) -> tuple[Tensor, Tensor]:
    """Return the joints (V, K) and weights (V, K) of each vertex, K the most joints of a vertex."""
    total = weights.sum(1, keepdims=True)
    if not (np.abs(total - 1) < 1e-3).all() or weights.min() < -LEAST_WEIGHT:
        raise InputError(
            f"{name}: weights",
            "rows of non-negative numbers that sum to 1",
            f"sums from {total.min():g} to {total.max():g}",
        )
    slots = max(1, int((weights > LEAST_WEIGHT).sum(1).max()))
    joint = np.argsort(-weights, axis=1, kind="stable")[:, :slots]
    value = np.take_along_axis(weights / total, joint, 1)
    return torch.from_numpy(joint), torch.from_numpy(value * (value > LEAST_WEIGHT)).float()


def _hands(file: OfficialArrays, layout: Layout, flat_hand_mean: bool) -> tuple[Tensor, Tensor]:
    """Return the mean pose (J, 3) rad and the hand basis (2, C, 45)."""
    mean = torch.zeros(len(layout.joint_names), 3)
    if not layout.has_hands:
        return mean, torch.zeros(2, 0, 45)
    left, right = file.take("hands_componentsl", None, 45), file.take("hands_componentsr", None, 45)
    if len(left) != len(right):
        raise InputError(f"{file.name}: hands_componentsr", f"{len(left)} components as on the left", str(len(right)))
    both = np.concatenate((file.take("hands_meanl", 45), file.take("hands_meanr", 45)))
    if not flat_hand_mean:
        mean[-30:] = torch.from_numpy(both.reshape(30, 3)).float()
    return mean, torch.from_numpy(np.stack((left, right))).float()


def _texture(file: OfficialArrays, faces: int) -> tuple[Tensor, Tensor]:
    """Return uv (T, 2), v down, and uv faces (F, 3); empty where the file has none."""
    if "vt" not in file.arrays or "ft" not in file.arrays:
        return torch.zeros(0, 2), torch.zeros(0, 3, dtype=torch.int64)
    uv = file.take("vt", None, 2)
    uv = np.stack((uv[:, 0], 1 - uv[:, 1]), 1)  # the files count from the lower edge, like OBJ
    return torch.from_numpy(uv).float(), torch.from_numpy(file.indices("ft", len(uv), faces, 3))


def load_official_body(
    path: Path,
    layout: Layout,
    *,
    gender: str = "neutral",
    betas: int | None = None,
    expressions: int | None = None,
    flat_hand_mean: bool = True,
    kid_template: Path | None = None,
) -> SkinnedBody:
    """Read a model file of a family.

    Args:
        path: The file.
        layout: The family.
        gender: The body's gender.
        betas: Number of shape coefficients without age; None: 10.
        expressions: Number of expression coefficients; None: 10 where the family has them.
        flat_hand_mean: Whether a zero hand pose means a flat hand instead of the mean one.
        kid_template: SMPL+A's child template (.npy): adds one shape coefficient, the last, from 0 (adult) to 1 (child).

    Returns:
        The body, float32 on the CPU.

    Raises:
        InputError: The file lacks an entry, its arrays contradict each other, or it has fewer coefficients than asked
            for.
    """
    keys = REQUIRED + OPTIONAL + (HANDS if layout.has_hands else ())
    file = read_official_file(path, keys)
    joints = len(layout.joint_names)
    kintree = file.take("kintree_table", 2, None)
    if kintree.shape[1] != joints:
        raise InputError(
            file.name,
            f"a {layout.title} model, {joints} joints",
            f"{kintree.shape[1]} joints",
            "Is this another family's file?",
        )
    template = file.take("v_template", None, 3)
    shape_basis, expression_basis = _bases(file, layout, betas, expressions, len(template))
    if kid_template is not None:
        shape_basis = np.concatenate((shape_basis, _age_basis(kid_template, template)), 2)
    regressor = file.take("J_regressor", joints, len(template))
    faces = file.indices("f", len(template), None, 3)
    weights = file.take("weights", len(template), joints)
    weight_joints, weight_values = _slots(weights, file.name)
    mean_pose, hand_basis = _hands(file, layout, flat_hand_mean)
    uv, uv_faces = _texture(file, len(faces))
    parents = kintree[0].astype(np.int64)
    parents[0] = -1  # stored as 2^32 - 1
    if parents[1:].min() < 0:
        raise InputError(f"{file.name}: kintree_table", "one root, the first joint", f"parents {parents.tolist()}")
    extent = np.maximum(np.ptp(template, axis=0), 1e-9)

    def tensor(array: Double) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    return SkinnedBody(
        name=f"{layout.model} {gender}",
        model=layout.model,
        template=tensor(template),
        shape_basis=tensor(shape_basis),
        expression_basis=tensor(expression_basis),
        pose_basis=tensor(file.take("posedirs", len(template), 3, 9 * (joints - 1))),
        joint_template=tensor(regressor @ template),
        joint_basis=tensor(np.einsum("jv,vks->jks", regressor, shape_basis, optimize=True)),
        joint_expression_basis=tensor(np.einsum("jv,vks->jks", regressor, expression_basis, optimize=True)),
        parents=torch.from_numpy(parents),
        weight_joints=weight_joints,
        weight_values=weight_values,
        faces=torch.from_numpy(faces),
        uv=uv,
        uv_faces=uv_faces,
        joint_names=layout.joint_names,
        keypoint_sets=keypoint_sets(layout.joint_names, _surface_points(file, faces, len(template)), mean_pose),
        vertex_parts=torch.from_numpy(weights.argmax(1)),
        part_names=layout.joint_names,
        vertex_colors=tensor((template - template.min(0)) / extent),
        mean_pose=mean_pose,
        hand_basis=hand_basis,
        gender=gender,
        flat_hand_mean=flat_hand_mean or not layout.has_hands,
        convention=CONVENTION,
        provenance={
            "model": f"{layout.title}, {path.name}, under the licence accepted at {layout.page}",
            "landmarks": LANDMARK_SOURCE,
            "file": str(path.absolute()),
            "kid_template": "" if kid_template is None else str(kid_template.absolute()),
        },
    )


def _surface_points(
    file: OfficialArrays, faces: NDArray[np.int64], vertices: int
) -> dict[str, tuple[int, tuple[float, float, float]]]:
    """Return the landmarks on the surface by name."""
    points = vertex_points(faces, VERTICES_BY_COUNT.get(vertices, {}))
    if "lmk_faces_idx" in file.arrays:
        triangle = file.indices("lmk_faces_idx", len(faces), None)
        points |= face_points(triangle, file.take("lmk_bary_coords", len(triangle), 3), len(faces), INNER_FACE)
    if "dynamic_lmk_faces_idx" in file.arrays:
        triangles = file.indices("dynamic_lmk_faces_idx", len(faces), None, None)
        weights = file.take("dynamic_lmk_bary_coords", *triangles.shape, 3)
        points |= face_points(triangles[0], weights[0], len(faces), 0)  # the first row is the frontal face
    return points
