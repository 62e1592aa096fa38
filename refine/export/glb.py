"""Writes people as glTF 2.0 in one binary file (GLB): skinned meshes, poses or a clip, camera and ground.

    document axes: x right, y up, z backward; the first camera is at the origin and looks along -z; metres

The skeletons hang below one node that turns a camera's axes (x right, y down, z forward) into the document's. A
glTF camera has its principal point in the middle of the picture and no lens: one that has not is drawn without either.

Source: Khronos, glTF 2.0 specification, sec. 3.7.3 (skins), 3.10 (cameras), 3.11 (animations).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from refine.body import SkinnedBody
from refine.errors import InputError
from refine.export.figure import Figure
from refine.export.glb_person import add_material, add_mesh, add_skeleton, add_skin, animate
from refine.export.gltf_data import FLOAT, Data
from refine.files.atomic import write_bytes
from refine.geometry.camera import Camera

if TYPE_CHECKING:
    from pygltflib import GLTF2, Node

HALF_TURN = [1.0, 0.0, 0.0, 0.0]
"""About x, as a quaternion (x, y, z, w): from the camera's axes to the document's."""
GROUND_M = 10.0
"""Side of the ground."""
NEAR_M = 0.05
GENERATOR = "refine"


def write_glb(
    path: str | Path,
    body: SkinnedBody,
    figures: Sequence[Figure],
    *,
    camera: Camera | None = None,
    textures: Sequence[UInt8[np.ndarray, "_ _ 3"]] | None = None,
    colors: Sequence[Float[Tensor, "V 3"]] | None = None,
    ground: bool = False,
) -> None:
    """Write people as one file.

    Args:
        path: The file.
        body: The model of all people.
        figures: P people; those of several moments are animated.
        camera: A camera for each of B bodies, of which the first is written: the figures are in its frame. None: none
            is.
        textures: P pictures in the body's UV layout, sRGB; None: `colors`.
        colors: P times the vertices' colours, sRGB, 0..1; None: one colour a person.
        ground: Whether a ground is drawn under the lowest vertex of the first moments, level with the camera.

    Raises:
        InputError: There is nobody, textures and colours come together or for other people, or the body has no texture
            coordinates for them.
    """
    data = document(body, figures, camera=camera, textures=textures, colors=colors, ground=ground)
    write_bytes(path, b"".join(data.save_to_bytes()))


def document(
    body: SkinnedBody,
    figures: Sequence[Figure],
    *,
    camera: Camera | None = None,
    textures: Sequence[UInt8[np.ndarray, "_ _ 3"]] | None = None,
    colors: Sequence[Float[Tensor, "V 3"]] | None = None,
    ground: bool = False,
) -> "GLTF2":
    """Return people as a glTF document; arguments and errors are `write_glb`'s."""
    import pygltflib as gltf

    _check(body, figures, textures, colors)
    losses = {one.name: round(1e3 * float(one.loss_m.max()), 3) for one in figures}
    file = gltf.GLTF2(
        asset=gltf.Asset(version="2.0", generator=GENERATOR, extras={"largest_vertex_error_mm": losses}),
        scene=0, scenes=[gltf.Scene(nodes=[])],
    )  # fmt: skip
    data = Data(file)
    axes = data.node(gltf.Node(name="people", children=[], rotation=HALF_TURN), root=True)
    moved = [figure for figure in figures if len(figure.rows) > 1]
    animation = gltf.Animation(name="motion", channels=[], samplers=[])
    for number, figure in enumerate(figures):
        material = add_material(data, number, textures)
        shown = None if colors is None else colors[number]
        joints = add_skeleton(data, body, figure)
        file.nodes[axes].children.append(joints[0])
        skin = add_skin(data, figure, joints)
        mesh = add_mesh(data, body, figure, material, shown, textures is not None)
        data.node(gltf.Node(name=figure.name, mesh=mesh, skin=skin), root=True)
        if len(figure.rows) > 1:
            animate(data, animation, figure, joints)
    if moved:
        file.animations.append(animation)
    if camera is not None:
        data.node(_camera(file, camera), root=True)
    if ground:
        _ground(data, _lowest(figures))
    data.close()
    return file


def _check(body: SkinnedBody, figures: Sequence[Figure], textures: object, colors: object) -> None:
    """Refuse what cannot be drawn."""
    if not figures:
        raise InputError("figures", "at least one person whose numbers are finite", "nobody")
    if textures is not None and colors is not None:
        raise InputError("colors", "textures or colours", "both", "Leave one out.")
    for name, given in (("textures", textures), ("colors", colors)):
        if isinstance(given, Sequence) and len(given) != len(figures):
            raise InputError(name, f"{len(figures)}, one a person", str(len(given)))
    if textures is not None and not len(body.uv_faces):
        raise InputError("textures", "a body with texture coordinates", body.name, "Give colours of vertices instead.")


def _camera(file: "GLTF2", camera: Camera) -> "Node":
    """Add a camera; return its node, at the document's origin."""
    import pygltflib as gltf

    (height, width), (across, down) = camera.size[0].tolist(), camera.focal[0].tolist()
    lens = gltf.Perspective(
        yfov=2 * math.atan(height / (2 * down)), aspectRatio=(width / across) / (height / down), znear=NEAR_M
    )
    file.cameras.append(gltf.Camera(name="photo", type="perspective", perspective=lens))
    return gltf.Node(name="camera", camera=len(file.cameras) - 1)


def _lowest(figures: Sequence[Figure]) -> np.ndarray:
    """Return where the ground is: under the people's middle, as low as their lowest vertex, in document axes."""
    points = []
    for figure in figures:
        points.append(figure.skeleton.skin(figure.mesh, figure.pose[:1], figure.root[:1])[0].numpy())
    placed = np.concatenate(points).astype(np.float64) * (1.0, -1.0, -1.0)
    return np.array((placed[:, 0].mean(), placed[:, 1].min(), placed[:, 2].mean()))


def _ground(data: Data, place: np.ndarray) -> None:
    """Add a square under the people."""
    import pygltflib as gltf

    half = GROUND_M / 2
    points = np.array([(x, 0.0, z) for z in (-half, half) for x in (-half, half)])
    corners = np.array([(0, 2, 1), (1, 2, 3)])
    attributes = gltf.Attributes(
        POSITION=data.accessor(points, FLOAT, "VEC3", vertices=True, bounds=True),
        NORMAL=data.accessor(np.tile((0.0, 1.0, 0.0), (4, 1)), FLOAT, "VEC3", vertices=True),
    )
    surface = gltf.PbrMetallicRoughness(baseColorFactor=[0.5, 0.5, 0.5, 1.0], metallicFactor=0.0, roughnessFactor=1.0)
    data.file.materials.append(gltf.Material(name="ground", pbrMetallicRoughness=surface, doubleSided=True))
    primitive = gltf.Primitive(
        attributes=attributes, indices=data.indices(corners), material=len(data.file.materials) - 1
    )
    data.file.meshes.append(gltf.Mesh(name="ground", primitives=[primitive]))
    data.node(gltf.Node(name="ground", mesh=len(data.file.meshes) - 1, translation=place.tolist()), root=True)
