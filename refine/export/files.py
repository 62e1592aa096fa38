"""Writes OBJ and PLY meshes and pictures atomically.

    document axes "camera": (x, y, z), x right, y down, z forward
    document axes "opengl": (x, -y, -z), x right, y up, z backward

Both are right-handed, so triangles keep their orientation. Metres.

Source: Wavefront Technologies, Advanced Visualizer Manual, app. B1 (OBJ); Turk, The PLY polygon file format, 1994.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from refine.check import check_shape
from refine.errors import InputError
from refine.files.atomic import write_bytes

AXES = {"camera": (1.0, 1.0, 1.0), "opengl": (1.0, -1.0, -1.0)}
"""Sign of each coordinate of the camera frame in the document."""


def write_image(path: str | Path, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
    """Write a picture.

    Args:
        path: The file, whose suffix is the format: .png, .jpg, .jpeg, .webp, .bmp, .tif.
        rgb: (H, W, 3) uint8 RGB.

    Raises:
        InputError: OpenCV does not write the suffix' format, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"):
        raise InputError("path", "a name ending in .png, .jpg, .webp, .bmp or .tif", path.name)
    write_bytes(path, _encoded(rgb, path.suffix))


def write_obj(
    path: str | Path,
    vertices: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    *,
    uv: Float[Tensor, "T 2"] | None = None,
    uv_faces: Int[Tensor, "G 3"] | None = None,
    texture: UInt8[np.ndarray, "H W 3"] | None = None,
    names: Sequence[str] | None = None,
    axes: str = "opengl",
) -> None:
    """Write the finite bodies as one OBJ file, an object each.

    With a texture `<stem>.mtl` and `<stem>.png` are written beside it.

    Args:
        path: The file.
        vertices: (B, V, 3) m, camera frame.
        faces: (F, 3), the same for all bodies.
        uv: (T, 2) texture coordinates, v down from the top (OBJ's v is up), or None.
        uv_faces: (F, 3) into uv, or None.
        texture: (H, W, 3) uint8 RGB, or None; needs uv.
        names: B names of objects; "person_1", ... where None.
        axes: "opengl" (y up, what viewers expect) or "camera" (y down).

    Raises:
        InputError: Shapes disagree, a texture comes without uv, other axes, or the folder does not exist.
    """
    path = Path(path)
    points, triangles, labels, _ = _checked(vertices, faces, names, axes)
    if (uv is None) != (uv_faces is None) or (texture is not None and uv is None):
        raise InputError("uv", "uv and uv_faces together, and both with a texture", "only some of them")
    if uv_faces is not None:
        check_shape("uv_faces", uv_faces, "F 3", F=len(triangles))
    lines = [f"# refine: {len(points)} bodies, metres, axes {axes}"]
    if texture is not None:
        write_bytes(path.with_suffix(".png"), _encoded(texture, ".png"))
        material = f"newmtl skin\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nmap_Kd {path.with_suffix('.png').name}\n"
        write_bytes(path.with_suffix(".mtl"), material.encode())
        lines.append(f"mtllib {path.with_suffix('.mtl').name}")
    if uv is not None:
        flipped = uv.detach().cpu().double().numpy() * (1, -1) + (0, 1)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in flipped.tolist()]
    for body, (label, own) in enumerate(zip(labels, points, strict=True)):
        lines.append(f"o {label}")
        lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in own.tolist()]
        lines += ["usemtl skin"] if texture is not None else []
        corners = (triangles + 1 + body * own.shape[0]).tolist()
        if uv_faces is None:
            lines += [f"f {a} {b} {c}" for a, b, c in corners]
        else:
            pairs = zip(corners, (uv_faces.cpu() + 1).tolist(), strict=True)
            lines += [f"f {a}/{i} {b}/{j} {c}/{k}" for (a, b, c), (i, j, k) in pairs]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def write_ply(
    path: str | Path,
    vertices: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    *,
    colors: Float[Tensor, "C 3"] | None = None,
    axes: str = "opengl",
) -> None:
    """Write the finite bodies as one binary little-endian PLY mesh.

    The vertex property `body` is the body's index among all B.

    Args:
        path: The file.
        vertices: (B, V, 3) m, camera frame.
        faces: (F, 3), the same for all bodies.
        colors: (V, 3) RGB in 0..1, the same for all bodies, or None.
        axes: "opengl" (y up, what viewers expect) or "camera" (y down).

    Raises:
        InputError: Shapes disagree, other axes, or the folder does not exist.
    """
    points, triangles, _, numbers = _checked(vertices, faces, None, axes)
    bodies, count = points.shape[:2]
    vertex_type = [("xyz", "<f4", 3), ("body", "<i4")] + ([] if colors is None else [("rgb", "u1", 3)])
    rows = np.zeros((bodies, count), vertex_type)
    rows["xyz"], rows["body"] = points, numbers[:, None]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment refine: metres, axes {axes}",
        f"element vertex {bodies * count}",
    ]
    header += [f"property float {axis}" for axis in "xyz"] + ["property int body"]
    if colors is not None:
        check_shape("colors", colors, "V 3", V=count)
        rows["rgb"] = np.rint(colors.detach().cpu().double().numpy().clip(0, 1) * 255)
        header += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    header += [f"element face {bodies * len(triangles)}", "property list uchar int vertex_indices", "end_header"]
    corners = np.zeros((bodies, len(triangles)), [("count", "u1"), ("corner", "<i4", 3)])
    corners["count"], corners["corner"] = 3, triangles + count * np.arange(bodies)[:, None, None]
    write_bytes(path, ("\n".join(header) + "\n").encode() + rows.tobytes() + corners.tobytes())


def _checked(
    vertices: Tensor, faces: Tensor, names: Sequence[str] | None, axes: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]:
    """Check the arguments; return points in document axes, faces, labels and indices of the finite bodies."""
    sizes = check_shape("vertices", vertices, "B V 3")
    check_shape("faces", faces, "F 3")
    if axes not in AXES:
        raise InputError("axes", "'opengl' or 'camera'", repr(axes))
    labels = tuple(names) if names is not None else tuple(f"person_{body + 1}" for body in range(sizes["B"]))
    if len(labels) != sizes["B"]:
        raise InputError("names", f"{sizes['B']} names, one a body", str(len(labels)))
    if faces.numel() and not (0 <= int(faces.min()) and int(faces.max()) < sizes["V"]):
        raise InputError("faces", f"indices in 0..{sizes['V'] - 1}", f"{int(faces.min())}..{int(faces.max())}")
    points = vertices.detach().cpu().double().numpy() * np.array(AXES[axes]) + 0.0  # + 0.0 turns -0 into 0
    there = np.flatnonzero(np.isfinite(points).all((1, 2)))  # viewers refuse a file with NaN in it
    shown = tuple(labels[body].replace(" ", "_").replace("\n", "_") for body in there)
    return points[there], faces.cpu().numpy(), shown, there


def _encoded(rgb: np.ndarray, suffix: str) -> bytes:
    """Return a picture encoded as a file's content."""
    import cv2

    good, data = cv2.imencode(suffix.lower(), np.ascontiguousarray(rgb[..., ::-1]))
    if not good:
        raise InputError("rgb", "a picture OpenCV can encode", f"{rgb.dtype} of shape {rgb.shape}")
    return bytes(data)
