"""One person in a glTF document: skeleton, skin, mesh, material and motion.

Source: Khronos, glTF 2.0 specification, sec. 3.7.3 (skins and their weights), 3.9 (materials), 3.11 (animations).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from refine.body import SkinnedBody
from refine.check import check_shape
from refine.export.figure import Figure
from refine.export.gltf_data import FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, Data
from refine.geometry import rotation

if TYPE_CHECKING:
    from pygltflib import Animation

COLORS = ((0.80, 0.62, 0.52), (0.55, 0.68, 0.82), (0.66, 0.78, 0.55), (0.82, 0.72, 0.50), (0.72, 0.60, 0.80))
"""Base colours of people without colours of their own, linear RGB, one after the other."""
ROUGHNESS = 0.8
"""Of skin and cloth."""
WHOLE = 65535
"""Stands for a weight of one."""


def quaternions(matrix: Float[Tensor, "T 3 3"]) -> Float[np.ndarray, "T 4"]:
    """Return unit quaternions (x, y, z, w), each on the side of the one before, so that what lies between is short."""
    wxyz = rotation.to_quaternion(matrix.double()).cpu().numpy()
    xyzw = wxyz[:, (1, 2, 3, 0)] / np.linalg.norm(wxyz, axis=1, keepdims=True)
    flips = np.cumprod(np.where((xyzw[1:] * xyzw[:-1]).sum(1) < 0, -1.0, 1.0))
    return np.asarray(xyzw * np.concatenate(([1.0], flips))[:, None])


def add_skeleton(data: Data, body: SkinnedBody, figure: Figure) -> list[int]:
    """Add the joints in the first moment's pose; return their nodes."""
    import pygltflib as gltf

    parents, rest = body.parents.tolist(), figure.skeleton.joint.numpy()
    nodes = []
    for number, (name, parent) in enumerate(zip(body.joint_names, parents, strict=True)):
        turn = quaternions(figure.pose[:1, number])[0]
        place = figure.root[0].numpy() if parent < 0 else rest[number] - rest[parent]
        # Of two joints of one name every program renames one in its own way.
        node = gltf.Node(name=f"{figure.name}.{name}", children=[], rotation=turn.tolist(), translation=place.tolist())
        nodes.append(data.node(node))
        if parent >= 0:
            data.file.nodes[nodes[parent]].children.append(nodes[number])
    return nodes


def add_skin(data: Data, figure: Figure, joints: list[int]) -> int:
    """Add the skin: what each joint takes away of its place at rest."""
    import pygltflib as gltf

    inverse = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    inverse[:, 3, :3] = -figure.skeleton.joint.numpy()  # column by column, as glTF stores matrices
    data.file.skins.append(
        gltf.Skin(
            name=figure.name,
            joints=joints,
            skeleton=joints[0],
            inverseBindMatrices=data.accessor(inverse.reshape(len(joints), 16), FLOAT, "MAT4"),
        )
    )
    return len(data.file.skins) - 1


def add_mesh(
    data: Data, body: SkinnedBody, figure: Figure, material: int, colors: Tensor | None, textured: bool
) -> int:  # fmt: skip
    """Add the mesh at rest with its weights; where it is textured, a vertex for each of its texture coordinates."""
    import pygltflib as gltf

    faces = body.faces.cpu().numpy()
    vertex, corners, uv = _unwrapped(body) if textured else (np.arange(len(figure.mesh)), faces, None)
    points = figure.mesh.numpy()
    values = whole_weights(figure.skeleton.weight_values.numpy())
    # A weight of nothing belongs to joint 0, or validators complain.
    joints = np.where(values > 0, figure.skeleton.weight_joints.numpy(), 0)
    attributes = {
        "POSITION": data.accessor(points[vertex], FLOAT, "VEC3", vertices=True, bounds=True),
        "NORMAL": data.accessor(_normals(points, faces)[vertex], FLOAT, "VEC3", vertices=True),
        "JOINTS_0": data.accessor(joints[vertex], UNSIGNED_BYTE, "VEC4", vertices=True),
        "WEIGHTS_0": data.accessor(values[vertex], UNSIGNED_SHORT, "VEC4", vertices=True, normalized=True),
    }
    if uv is not None:
        attributes["TEXCOORD_0"] = data.accessor(uv, FLOAT, "VEC2", vertices=True)
    if colors is not None:
        check_shape("colors", colors, "V 3", V=len(points))
        linear = np.rint(WHOLE * _linear(colors.detach().cpu().double().numpy().clip(0, 1)))
        opaque = np.concatenate((linear, np.full((len(linear), 1), WHOLE)), 1)  # four, so that vertices are aligned
        attributes["COLOR_0"] = data.accessor(opaque[vertex], UNSIGNED_SHORT, "VEC4", vertices=True, normalized=True)
    primitive = gltf.Primitive(
        attributes=gltf.Attributes(**attributes), indices=data.indices(corners), material=material
    )
    data.file.meshes.append(gltf.Mesh(name=figure.name, primitives=[primitive]))
    return len(data.file.meshes) - 1


def whole_weights(values: Float[np.ndarray, "V 4"]) -> Int[np.ndarray, "V 4"]:
    """Return weights in 65535ths whose sums are exact: what rounding leaves goes to the largest."""
    whole = np.rint(WHOLE * values).astype(np.int64)
    whole[np.arange(len(whole)), whole.argmax(1)] += WHOLE - whole.sum(1)
    return whole


def _unwrapped(body: SkinnedBody) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the vertex and the texture coordinate of each pair of both, and the triangles (F, 3) of pairs."""
    both = torch.stack((body.faces, body.uv_faces), 2).flatten(0, 1).cpu().numpy()
    pairs, corner = np.unique(both, axis=0, return_inverse=True)
    return pairs[:, 0], corner.reshape(-1, 3), body.uv.cpu().double().numpy()[pairs[:, 1]]


def _normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals of the vertices."""
    from refine.render.shade import vertex_normals

    found = vertex_normals(torch.from_numpy(points)[None], torch.from_numpy(faces))[0].numpy()
    size = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(size > 0, found / np.where(size > 0, size, 1.0), (0.0, 1.0, 0.0))


def _linear(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB code values 0..1 as light (IEC 61966-2-1), which glTF's vertex colours are."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def add_material(data: Data, number: int, textures: Sequence[np.ndarray] | None) -> int:
    """Add a person's material; return its number."""
    import pygltflib as gltf

    colour = [*COLORS[number % len(COLORS)], 1.0]
    surface = gltf.PbrMetallicRoughness(baseColorFactor=colour, metallicFactor=0.0, roughnessFactor=ROUGHNESS)
    if textures is not None:
        surface.baseColorFactor = [1.0, 1.0, 1.0, 1.0]
        surface.baseColorTexture = gltf.TextureInfo(index=data.picture(textures[number]))
    data.file.materials.append(gltf.Material(name=f"skin_{number + 1}", pbrMetallicRoughness=surface))
    return len(data.file.materials) - 1


def animate(data: Data, animation: "Animation", figure: Figure, joints: list[int]) -> None:
    """Add the motion of one person: the root's path and every joint that turns."""
    import pygltflib as gltf

    times = data.accessor(figure.time_s.numpy()[:, None], FLOAT, "SCALAR", bounds=True)

    def channel(node: int, path: str, values: np.ndarray) -> None:
        shape = {3: "VEC3", 4: "VEC4"}[values.shape[1]]
        output = data.accessor(values, FLOAT, shape)
        target = gltf.AnimationChannelTarget(node=node, path=path)
        animation.channels.append(gltf.AnimationChannel(sampler=len(animation.samplers), target=target))
        animation.samplers.append(gltf.AnimationSampler(input=times, output=output, interpolation="LINEAR"))

    channel(joints[0], "translation", figure.root.numpy())
    for number, node in enumerate(joints):
        turns = figure.pose[:, number]
        if bool((turns != turns[:1]).any()):
            channel(node, "rotation", quaternions(turns))
