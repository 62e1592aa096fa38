"""Multi-HMR's npy of one photo: SMPL-X vertices (P, 10475, 3) m in the camera frame, and nothing else.

    u = f X / Z + W/2,   v = f Y / Z + H/2,   f = max(W, H) / (2 tan 30°)

The network sees the photo scaled into a padded square of S pixels with f = S / (2 tan 30°) and c = (S/2, S/2): the same
camera. Its pixels count from the corner. The file holds neither the photo's size nor a `--fov` other than the demo's
60°. There are no parameters: where the SMPL-X model file is found its bodies are solved for vertex onto vertex, else
the built-in body is fitted to the surface, from vertices with names. A zero hand pose is a flat hand
(`flat_hand_mean=True`).

A refined file holds the vertices carried along with the surface they lie on, in the same array. Behind it, where
readers of one array do not look, stands a second one with the refined bodies (`refine/estimate/found.py`); where the
vertices were changed since, one is fitted anew.

Source: naver/multi-hmr@19b2bc81 `demo.py` (open_image, get_camera_parameters, save_mesh); @651fb411
`blocks/smpl_layer.py` (hand mean).
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from refine.body import SkinnedBody
from refine.body.known_meshes import SMPLX_MESH
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.estimate.found import KEY, found_by_words, texts
from refine.files.atomic import write_bytes
from refine.files.pickled import kind, read_pickled
from refine.files.unpacked import READ_ERRORS
from refine.formats import Sizes
from refine.formats._fitted_surface import carried, fitted_estimate, fitted_source, mean_distance, started, total_scale
from refine.formats._given_sizes import needed_sizes
from refine.formats._own_source import own_source
from refine.geometry.camera import Camera
from refine.geometry.focal import camera_from_rule
from refine.state import Bodies
from refine.transfer import refined_source, to_body, with_camera
from refine.transfer.source_body import own_body
from refine.transfer.surface import Converted, bodies_of_points

ADVICE = "Write the file again with the demo's --save_mesh 1; a photo without people has an empty file."
NEAR_M = 0.1
"""People closer than this to the camera are none."""


def recognises(path: Path) -> bool:
    """Say whether a file is an npy of (P, 10475, 3) numbers."""
    shape = _shape(path)
    return shape is not None and len(shape) == 3 and shape[1:] == (SMPLX_MESH, 3)


def read(path: Path, body: SkinnedBody | None = None, camera: Camera | None = None, sizes: Sizes = None) -> Estimate:
    """Read the people of one photo.

    Raises:
        InputError: The file is broken or holds something else, or neither the photo's size nor a camera is given.
    """
    path = Path(path)
    stored = _read(path)
    vertices = torch.as_tensor(stored, dtype=torch.float32)
    behind = _behind(path)
    index = torch.zeros(len(vertices), dtype=torch.long)
    size = needed_sizes(str(path), index, sizes, camera)
    own = camera_from_rule("fov60", size)
    lost, known = ~vertices.isfinite().flatten(1).all(1), _stood(vertices)
    fitted = _refined_before(known, behind) or _fit(known)
    arrays = {"vertices": stored} | ({KEY: behind} if behind else {})
    source = fitted_source(fitted, "multihmr", known[:, :0], known, path, arrays)
    if bool(lost.any()):  # who has no numbers stands in another's place until `refine.estimate.usable` takes them out
        assert source.translation is not None
        source = replace(source, translation=torch.where(lost[:, None], torch.nan, source.translation))
    rule = f"{float(own.focal[0, 0]):.0f} px, 60° across the longer side (Multi-HMR)"
    estimate = to_body(replace(source, focal_rule=rule), own, body if body is not None else fitted.body)
    estimate = fitted_estimate(estimate, fitted)
    return estimate if camera is None else with_camera(estimate, camera)


def write(refined: Estimate, path: Path) -> None:
    """Write an estimate back as Multi-HMR's npy, the vertices of the people that changed carried along.

    Raises:
        InputError: The estimate was read from another format.
    """
    source = own_source(refined, "multihmr", "Multi-HMR")
    content = np.asarray(source.arrays["vertices"])
    behind = source.arrays.get(KEY)
    refined = with_camera(refined, camera_from_rule("fov60", refined.camera.size.cpu()))
    changed = refined_source(refined).changed.cpu()
    if bool(changed.any()):
        moved = carried(_stood(torch.as_tensor(content)), started(refined), refined.posed, total_scale(refined))
        content = np.where(changed.numpy()[:, None, None], moved.numpy(), content).astype(content.dtype)
        size, now = total_scale(refined), refined.bodies
        # The vertices stand for the betas that these texts are checked against: the file holds nothing else.
        words = torch.as_tensor(content, dtype=torch.float32).flatten(1)
        behind = texts(refined.body, now, size, words, now.translation, refined.joints[:, 0])
    stream = io.BytesIO()
    np.save(stream, content)
    if behind:
        np.save(stream, np.asarray(behind))
    write_bytes(Path(path), stream.getvalue())


def _behind(path: Path) -> list[str]:
    """Return the texts of refined bodies behind the vertices, which readers of one array do not see."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_array(file, allow_pickle=False)
            lines = np.lib.format.read_array(file, allow_pickle=False)
    except READ_ERRORS:
        return []
    return list(map(str, lines.reshape(-1))) if lines.dtype.kind == "U" else []


def _refined_before(vertices: Tensor, behind: list[str]) -> Converted | None:
    """Return the refined bodies behind the vertices; None: there are none, or vertices were changed since."""
    from refine.body.load import load_body

    found = found_by_words({KEY: behind}, vertices.flatten(1))
    body = load_body("anny")
    if found is None or not bool(found.valid.all()) or not found.fits(body):
        return None
    away = mean_distance(body, found.bodies, vertices / found.scale[:, None, None]) * found.scale
    return Converted(body, found.bodies, away, found.scale, ("The refined bodies of the file are used.",))


def _stood(vertices: Tensor) -> Tensor:
    """Return the people (P, V, 3) m, who has no numbers replaced by one who has."""
    lost = ~vertices.isfinite().flatten(1).all(1)
    return vertices[torch.where(lost, int((~lost).nonzero()[0, 0]), torch.arange(len(lost)))]


def _fit(vertices: Tensor) -> Converted:
    """Return the fitted bodies, each person by itself: who else is in the photo changes nothing."""
    none = torch.zeros(1, 0)
    placeless = Source("multihmr", "smplx", torch.eye(3).expand(1, 55, 3, 3), none, none, translation=torch.zeros(1, 3))
    body = own_body(replace(placeless, hand_mean="flat"))
    done = [bodies_of_points(body, one[None]) for one in vertices]
    parts = ("pose", "shape", "expression", "translation")
    bodies = Bodies(*(torch.cat([getattr(one.bodies, name) for one in done]) for name in parts))
    distance, scale = (torch.cat([getattr(one, name) for one in done]) for name in ("distance_m", "scale"))
    apart = ", ".join(f"{1000 * away:.1f}" for away in distance.tolist())
    note = f"{body.name} is fitted to the stored vertices of SMPL-X; they lie {apart} mm apart on average."
    return Converted(body, bodies, distance, scale, (note,))


def _shape(path: Path) -> tuple[int, ...] | None:
    """Return the shape of an npy file's array of floating-point numbers, None where it holds none."""
    try:
        with Path(path).open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                return None
            file.seek(0)
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
    except READ_ERRORS:
        return None
    return tuple(shape) if dtype.kind == "f" else None


def _read(path: Path) -> np.ndarray:
    """Read the vertices.

    Raises:
        InputError: They are truncated, of another shape, not finite, or behind the camera.
    """
    stored = read_pickled(path) if kind(path) == "npy" else None
    if not isinstance(stored, np.ndarray):
        raise InputError(str(path), "an npy file of vertices", f"a {kind(path) or 'broken'} file", ADVICE)
    if stored.ndim != 3 or stored.shape[1:] != (SMPLX_MESH, 3) or not len(stored) or stored.dtype.kind != "f":
        got = f"shape {stored.shape} of {stored.dtype}"
        raise InputError(str(path), f"vertices (people, {SMPLX_MESH}, 3), at least one person", got, ADVICE)
    known = np.isfinite(stored).all((1, 2))
    if not known.any():
        raise InputError(str(path), "finite vertices", f"{int((~np.isfinite(stored)).sum())} others", ADVICE)
    nearest = float(stored[known, :, 2].mean(1).max())
    if nearest < NEAR_M:
        raise InputError(str(path), "people in front of the camera", f"one at z = {nearest:.2f} m", ADVICE)
    return stored
